"""At which sizes a region runs: scale 1 in the model's range; above it layout, rough and detail in tiles (E3)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from nanobana.protocol.geometry import Box
from nanobana.protocol.parameters import Quality

if TYPE_CHECKING:
    from nanobana_engine.models.base import Preset

REFINE_STRENGTH = 0.4
"""How far the stages after the layout go back into the noise."""

LEAST_GROWTH, MOST_GROWTH = 1.25, 4.0
"""How much a region is enlarged for more detail: less shows none, beyond it there is nothing to see but blur."""

FEWEST_STEPS = 3
"""Real steps of every stage, whatever the strength (E4)."""


@dataclass(frozen=True, slots=True)
class Stage:
    """One pass over the whole context at one size."""

    name: Literal["layout", "rough", "detail"]
    width: int
    height: int
    """Size at which the context is shown to the model."""
    tiles: tuple[Box, ...]
    """Parts that run, in this stage's pixels; one that covers everything, or overlapping tiles."""
    strength: float
    steps: int
    """That are made: where the strength is lower, only the last ones of a whole run."""


def plan_stages(size: tuple[int, int], changed: Box, preset: Preset, quality: Quality, strength: float) -> list[Stage]:
    """The stages of a region, at least one.

    Args:
        size: width and height of the context in canvas pixels.
        changed: the part of the context that may change (D > 0), in its own pixels: tiles elsewhere do not run.
        strength: the edit's own; holds for the first stage.
    """
    whole = preset.steps.get(quality, 6)
    steps = _real(whole, strength)
    width, height = size
    if preset.min_side <= min(size) and max(size) <= preset.max_side:
        width, height = (_multiple(side, preset.multiple, up=True) for side in size)
        return [Stage("detail", width, height, (Box(0, 0, width, height),), strength, steps)]
    if max(size) <= preset.max_side:
        first = _scaled(size, min(preset.min_side / min(size), preset.max_side / max(size)), preset)
        return [Stage("detail", *first, (Box(0, 0, *first),), strength, steps)]
    layout = (preset.layout_side or preset.native) / math.sqrt(width * height)
    first = _scaled(size, min(layout, preset.max_side / max(size)), preset)
    stages = [Stage("layout", *first, (Box(0, 0, *first),), strength, steps)]
    for name, factor in _refinements(first, size, preset.growth):
        stage = _refine(name, size, factor, changed, preset, quality, whole)
        if stage is None:
            break
        if stage.width > stages[-1].width * 1.2 or stage.height > stages[-1].height * 1.2:
            stages.append(stage)
    return stages


def enlarged_stage(size: tuple[int, int], preset: Preset, quality: Quality, strength: float) -> Stage | None:
    """One pass over a small region, enlarged to what the model was trained at; None where that enlarges it little."""
    growth = min(preset.native / math.sqrt(size[0] * size[1]), preset.max_side / max(size), MOST_GROWTH)
    if growth < LEAST_GROWTH:
        return None
    width, height = _scaled(size, growth, preset)
    return Stage("detail", width, height, (Box(0, 0, width, height),), strength, preset.steps.get(quality, 6))


def _refinements(
    first: tuple[int, int], size: tuple[int, int], growth: float
) -> list[tuple[Literal["rough", "detail"], float]]:
    """The refining stages after a layout, with their parts of the region's size: equal steps."""
    ratio = max(size[0] / first[0], size[1] / first[1])
    if ratio <= growth:
        return [("detail", 1.0)]
    return [("rough", 1.0 / math.sqrt(ratio)), ("detail", 1.0)]


def _refine(
    name: Literal["rough", "detail"],
    size: tuple[int, int],
    factor: float,
    changed: Box,
    preset: Preset,
    quality: Quality,
    whole: int,
) -> Stage | None:
    """A refining stage at `factor` of the context's size, or at the largest scale that its tiles' number allows."""
    most = preset.most_tiles.get(quality, 0)
    while most:
        width, height = _scaled(size, factor, preset, exact=factor == 1.0)
        part = Box(
            math.floor(changed.x0 * width / size[0]),
            math.floor(changed.y0 * height / size[1]),
            math.ceil(changed.x1 * width / size[0]),
            math.ceil(changed.y1 * height / size[1]),
        )
        tiles = tuple(tile for tile in tiles_over(width, height, preset) if not tile.intersect(part).is_empty)
        if len(tiles) <= most:
            return Stage(name, width, height, tiles, REFINE_STRENGTH, _real(whole, REFINE_STRENGTH))
        factor *= 0.9
    return None


def _real(whole: int, strength: float) -> int:
    """Steps that are made of a whole run."""
    return max(FEWEST_STEPS, round(whole * strength))


def tiles_over(width: int, height: int, preset: Preset) -> list[Box]:
    """Overlapping tiles of the model's size for them (or the whole where that is in range), row by row."""
    if max(width, height) <= preset.max_side:
        return [Box(0, 0, width, height)]
    across, down = _spans(width, preset), _spans(height, preset)
    return [Box(x, y, x + w, y + h) for y, h in down for x, w in across]


def _spans(length: int, preset: Preset) -> list[tuple[int, int]]:
    """Starts and lengths along one axis: evenly spread, overlapping by at least a quarter, on the model's multiple."""
    tile = min(preset.tile_side or preset.native, length)
    if length <= tile:
        return [(0, length)]
    count = math.ceil((length - tile) / (tile * 0.75)) + 1
    step = (length - tile) / (count - 1)
    return [(min(length - tile, _multiple(index * step, preset.multiple)), tile) for index in range(count)]


def _scaled(size: tuple[int, int], factor: float, preset: Preset, *, exact: bool = False) -> tuple[int, int]:
    """A size on the model's multiple; the two scales may differ by the rounding."""
    width, height = (max(preset.multiple, _multiple(side * factor, preset.multiple, up=exact)) for side in size)
    return width, height


def _multiple(length: float, multiple: int, *, up: bool = False) -> int:
    return (math.ceil(length / multiple) if up else round(length / multiple)) * multiple
