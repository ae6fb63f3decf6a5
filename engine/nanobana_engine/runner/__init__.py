"""The step loop's arithmetic on tensors: the one place outside models/ that knows torch."""

from nanobana_engine.runner.one import Pass
from nanobana_engine.runner.passes import Runner
from nanobana_engine.runner.short import OutOfMemory

__all__ = ["OutOfMemory", "Pass", "Runner"]
