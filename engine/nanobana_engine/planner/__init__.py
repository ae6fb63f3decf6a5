"""Geometry of an edit, in plain numpy: clean mask, soft masks, frame, sizes and prefill (E1–E5)."""

from nanobana_engine.planner.plan import Plan, plan_edit
from nanobana_engine.planner.reach import Reach, reach_of

__all__ = ["Plan", "Reach", "plan_edit", "reach_of"]
