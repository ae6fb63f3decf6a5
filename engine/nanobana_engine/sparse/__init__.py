"""Computing only what an edit changes: a UNet of diffusers' on lists of active cells, beside what was recorded."""

from nanobana_engine.sparse.executor import Executor
from nanobana_engine.sparse.refuse import UnknownBlock

__all__ = ["Executor", "UnknownBlock"]
