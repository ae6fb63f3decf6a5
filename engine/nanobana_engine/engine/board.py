"""What everybody sees of an edit while it runs: the result's box as it stands, small enough to be sent often (R3)."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from PIL import Image

from nanobana.protocol.geometry import Box
from nanobana.raster.pixels import Gray
from nanobana_engine.engine.source import Source
from nanobana_engine.planner import Plan
from nanobana_engine.planner.overview import overview
from nanobana_engine.planner.prefill import RIM, prefill
from nanobana_engine.planner.resample import resize, scaled_box, to_bytes, to_floats
from nanobana_engine.planner.stages import Stage

Bytes = npt.NDArray[np.uint8]
Part = tuple[float, float, float, float]

PREVIEW_SIDE = 512
"""Longest side of a preview's picture."""


def preview_size(width: float, height: float) -> tuple[int, int]:
    """Width and height of a preview of so many pixels: a whole number of them becomes one."""
    step = _step(width, height)
    return max(1, math.ceil(width / step)), max(1, math.ceil(height / step))


def around_result(plan: Plan, stage: Stage, grid: int = 1) -> Box:
    """The part of a stage, in its pixels, that shows the result's box; on a grid, inside the stage."""
    x0, y0, x1, y1 = _result(plan, stage)
    return Box(
        int(x0) // grid * grid,
        int(y0) // grid * grid,
        min(stage.width, math.ceil(x1 / grid) * grid),
        min(stage.height, math.ceil(y1 / grid) * grid),
    )


def cut(plan: Plan, stage: Stage, picture: Bytes, covers: Box | None = None) -> Bytes:
    """The result's box out of a picture of a stage at any size, at most PREVIEW_SIDE large.

    Args:
        covers: the part of the stage, in its pixels, that the picture shows; None: all of it.
    """
    of = covers or Box(0, 0, stage.width, stage.height)
    height, width = picture.shape[:2]
    x0, y0, x1, y1 = _result(plan, stage)
    across, down = width / of.width, height / of.height
    part = (
        (x0 - of.x0) * across,
        (y0 - of.y0) * down,
        min(float(width), (x1 - of.x0) * across),
        min(float(height), (y1 - of.y0) * down),
    )
    if all(side == int(side) for side in part):
        return _reduced(picture[round(part[1]) : round(part[3]), round(part[0]) : round(part[2])])
    return resize(picture, preview_size(part[2] - part[0], part[3] - part[1]), part)


def begun(source: Source) -> Bytes:
    """The result's box with its hole prefilled, for a context that is not large; as small as what is smooth may be."""
    plan = source.plan
    box = plan.result_inside
    step = max(1, math.ceil(2 * max(box.width, box.height) / PREVIEW_SIDE))
    left, above = min(RIM, box.x0 // step), min(RIM, box.y0 // step)
    near = Box(box.x0 - left * step, box.y0 - above * step, box.x1 + RIM * step, box.y1 + RIM * step)
    near = near.intersect(plan.inside)
    # of a cell with any masked pixel nothing is known
    hole = _means(np.where(plan.window(near).user_mask > 0, np.uint8(255), np.uint8(0)), step) > 0
    filled = prefill(to_floats(_means(source.bytes_of(near), step)), hole)
    return to_bytes(filled[above : above - (-box.height // step), left : left - (-box.width // step)])


def stencil(plan: Plan) -> Gray:
    """C over the result's box, at a preview's size: what a preview's pictures are cut out with."""
    if not plan.is_large:
        return _reduced(plan.window(plan.result_inside).composite)
    size = preview_size(plan.result.width, plan.result.height)
    shrink = size[0] / plan.result.width
    target = max(1, round(plan.size[0] * shrink)), max(1, round(plan.size[1] * shrink))
    inside = scaled_box(plan.result_inside, plan.size, target)
    return resize(overview(plan, target).composite(plan), size, inside)


def _step(width: float, height: float) -> int:
    return max(1, math.ceil(max(width, height) / PREVIEW_SIDE))


def _reduced(picture: Bytes) -> Bytes:
    """A picture of any size at a preview's, by averages: a fraction of what resampling takes."""
    return _means(picture, _step(picture.shape[1], picture.shape[0]))


def _means(picture: Bytes, step: int) -> Bytes:
    return picture if step == 1 else np.asarray(Image.fromarray(np.ascontiguousarray(picture)).reduce(step))


class Board:
    """A stage of many tiles: what stood there before, with every tile laid on it as it comes."""

    def __init__(self, plan: Plan, stage: Stage, before: Bytes) -> None:
        self._at = _result(plan, stage)
        size = preview_size(self._at[2] - self._at[0], self._at[3] - self._at[1])
        self.picture = np.array(before if before.shape[1::-1] == size else resize(before, size))

    def paste(self, tile: Box, picture: Bytes, onto: Bytes | None = None) -> None:
        """Lay a tile's picture, of any size, on the board or on a copy of it."""
        board = self.picture if onto is None else onto
        x0, y0, x1, y1 = self._at
        across, down = board.shape[1] / (x1 - x0), board.shape[0] / (y1 - y0)
        to = (
            round(max(0.0, tile.x0 - x0) * across),
            round(max(0.0, tile.y0 - y0) * down),
            round((min(x1, tile.x1) - x0) * across),
            round((min(y1, tile.y1) - y0) * down),
        )
        if to[2] <= to[0] or to[3] <= to[1]:
            return
        wide, high = picture.shape[1] / tile.width, picture.shape[0] / tile.height
        part = (
            max(0.0, x0 - tile.x0) * wide,
            max(0.0, y0 - tile.y0) * high,
            (min(x1, tile.x1) - tile.x0) * wide,
            (min(y1, tile.y1) - tile.y0) * high,
        )
        board[to[1] : to[3], to[0] : to[2]] = resize(picture, (to[2] - to[0], to[3] - to[1]), part)


def _result(plan: Plan, stage: Stage) -> Part:
    """The result's box in the pixels of a stage."""
    return scaled_box(plan.result_inside, plan.size, (stage.width, stage.height))
