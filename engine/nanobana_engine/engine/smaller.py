"""The same edit with less at a time: what is tried once when memory was not enough (E10)."""

from __future__ import annotations

from dataclasses import replace

from nanobana_engine.engine.source import Source
from nanobana_engine.models.base import Preset
from nanobana_engine.planner.stages import plan_stages

FEWEST_CELLS = 8
"""Sides below this many of the model's multiples show nothing."""


def smaller(source: Source, preset: Preset) -> Source | None:
    """The edit planned for pictures of half the side at the most; None where that leaves too little to see.

    The box and the masks stay as they are: a smaller layout, and tiles of the smaller size above it.
    """
    plan = source.plan
    largest = max(max(tile.width, tile.height) for stage in plan.stages for tile in stage.tiles)
    side = largest // 2 // preset.multiple * preset.multiple
    if side < FEWEST_CELLS * preset.multiple:
        return None
    halved = replace(
        preset.with_steps(source.edit.steps),
        native=min(preset.native, side),
        min_side=min(preset.min_side, side),
        max_side=min(preset.max_side, side),
        layout_side=min(preset.layout_side or preset.native, side),
        tile_side=min(preset.tile_side or preset.native, side),
    )
    stages = plan_stages(plan.size, plan.changed_inside, halved, source.edit.quality, source.edit.strength)
    return replace(source, plan=replace(plan, stages=tuple(stages)))
