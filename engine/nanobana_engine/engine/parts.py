"""A large result in parts: each is finished, handed over and forgotten as soon as its tiles are there (C3, E5)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nanobana.protocol.geometry import Box
from nanobana.raster.compose import with_alpha
from nanobana.raster.patches import chunks
from nanobana.raster.pixels import Rgba
from nanobana_engine.engine.shown import Sight
from nanobana_engine.engine.source import Source
from nanobana_engine.planner.resample import SUPPORT, scaled_box, window

Bytes = npt.NDArray[np.uint8]

SIDE = 1024
"""Of a part, in canvas pixels; parts lie on the grid of the ops in which a large result is accepted."""


@dataclass(frozen=True, slots=True)
class Part:
    """A finished part of one variation."""

    variation: int
    box: Box
    """In canvas pixels."""
    source: Source
    picture: Bytes
    """[h, w, 3] of the box."""

    def patch(self) -> Rgba | None:
        """The RGBA patch, as `stitch` makes it; None where C = 0 all over. For any thread."""
        context = self.source.plan.context
        composite = self.source.plan.window(self.box.shift(-context.x0, -context.y0)).composite
        if not composite.any():
            return None
        return with_alpha(self.picture, composite)


def part_boxes(source: Source) -> list[Box]:
    """The boxes, in canvas pixels, in which a large result is handed over, row by row."""
    return chunks(source.plan.result, SIDE)


def needed(sight: Sight, box: Box) -> Box:
    """The pixels of a stage that a part `box` (canvas pixels) is made from."""
    plan = sight.source.plan
    x0, y0, x1, y1 = scaled_box(box.shift(-plan.context.x0, -plan.context.y0), plan.size, sight.target)
    margin = 0 if sight.is_full_scale else SUPPORT + 1
    grown = Box(int(x0), int(y0), int(np.ceil(x1)), int(np.ceil(y1))).grow(margin)
    return grown.intersect(Box(0, 0, *sight.target))


def make_part(sight: Sight, read: Callable[[Box], Bytes], variation: int, box: Box) -> Part:
    """A part from the stage's picture.

    Where that was made smaller than the canvas, the hole gets the detail that the canvas lends, and the ring around
    the mask the canvas's own, fading to nothing at the mask.

    Args:
        read: the stage's picture of this variation, in its pixels.
        box: in canvas pixels.
    """
    source, plan = sight.source, sight.source.plan
    inside = box.shift(-plan.context.x0, -plan.context.y0)
    if sight.is_full_scale:
        return Part(variation, box, source, read(inside))
    large = window(read, sight.target, plan.size, inside).astype(np.float32)
    outside = np.clip(4.0 * (1.0 - plan.window(inside).denoise), 0.0, 1.0)[..., None]

    def coarse(part: Box) -> Bytes:
        return window(source.bytes_of, plan.size, sight.target, part)

    if outside.any():
        own = source.bytes_of(inside).astype(np.float32)
        large += outside * (own - window(coarse, sight.target, plan.size, inside))
    lent = None if outside.min() >= 1.0 else sight.lent(variation, inside)
    if lent is not None:
        large += (1.0 - outside) * lent * np.float32(255.0)
    return Part(variation, box, source, np.rint(np.clip(large, 0.0, 255.0)).astype(np.uint8))
