"""Which edits take part in the next step: fair shares of a cost budget, interactive before batch (E7). No torch."""

from nanobana_engine.scheduler.pace import Pace
from nanobana_engine.scheduler.scheduler import Scheduler
from nanobana_engine.scheduler.work import Unit

__all__ = ["Pace", "Scheduler", "Unit"]
