"""Which part of the canvas the model gets to see around a mask (E2, and the square frame of small models)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from nanobana.protocol.geometry import Box
from nanobana_engine.planner.reach import Reach

if TYPE_CHECKING:
    from nanobana_engine.models.base import Preset

LATTICE = 64
"""Context rectangles snap to this, so that edits in one place see the same pixels and caches hit."""

SMALLEST_SQUARE = 64
"""A square frame has at least this side: a mask of a few pixels still sees what it stands in."""

COARSE = (2, 4, 8)
"""Parts of the native side that windows for reuse snap to, the coarsest that holds an edit."""

FLATTEST = 4.0
"""Longest to shortest side of a context rectangle, at the most."""


def context_box(mask_box: Box, reach: Reach, canvas: tuple[int, int], preset: Preset) -> Box:
    """The context rectangle, inside the canvas, containing everything that the edit may change.

    It is shifted inside the canvas rather than padded; where the canvas is smaller, the canvas is the frame.
    """
    if preset.reuses and (window := _window(mask_box, reach, canvas, preset)) is not None:
        return window
    if preset.mask_share is not None:
        width, height = _square(mask_box, reach, preset)
        lattice = 1
    else:
        width, height = _rectangle(mask_box, reach, preset.min_side)
        lattice = LATTICE
    x0, x1 = _place(mask_box.x0, mask_box.x1, reach.pixels, width, canvas[0], lattice, preset.multiple)
    y0, y1 = _place(mask_box.y0, mask_box.y1, reach.pixels, height, canvas[1], lattice, preset.multiple)
    return Box(x0, y0, x1, y1)


def close_box(mask_box: Box, reach: Reach, canvas: tuple[int, int], preset: Preset) -> Box:
    """E2's rectangle as if the model took pictures of any size: what an edit is shown of that wants more detail."""
    width, height = _rectangle(mask_box, reach, 0)
    x0, x1 = _place(mask_box.x0, mask_box.x1, reach.pixels, width, canvas[0], preset.multiple, preset.multiple)
    y0, y1 = _place(mask_box.y0, mask_box.y1, reach.pixels, height, canvas[1], preset.multiple, preset.multiple)
    return Box(x0, y0, x1, y1)


def _window(mask_box: Box, reach: Reach, canvas: tuple[int, int], preset: Preset) -> Box | None:
    """A square of the model's native side on as coarse a lattice as the edit allows, or None if it is too large for it.

    The coarser the lattice, the more edits of one place see the very same pixels, and reuse what was computed of them.
    """
    margin = max(reach.pixels, preset.native // 8)
    spans = []
    for low, high, limit in ((mask_box.x0, mask_box.x1, canvas[0]), (mask_box.y0, mask_box.y1, canvas[1])):
        lattices = (preset.native // part for part in COARSE)
        tried = (_snapped(low, high, preset.native, limit, lattice) for lattice in lattices)
        first, last = max(0, low - margin), min(limit, high + margin)
        span = next((each for each in tried if each[0] <= first and last <= each[1]), None)
        if span is None:
            return None
        spans.append(span)
    (x0, x1), (y0, y1) = spans
    return Box(x0, y0, x1, y1)


def _snapped(low: int, high: int, length: int, limit: int, lattice: int) -> tuple[int, int]:
    """One axis: the span of this length on the lattice whose middle is nearest to that of low..high."""
    if length >= limit:
        return 0, limit
    start = round((low + high - length) / 2 / lattice) * lattice
    start = min(max(0, start), limit - length)
    return start, start + length


def _square(mask_box: Box, reach: Reach, preset: Preset) -> tuple[int, int]:
    """The mask's longer side takes `mask_share` of the frame."""
    longest = max(mask_box.width, mask_box.height)
    side = max(longest / (preset.mask_share or 1.0), longest + 2 * reach.pixels, SMALLEST_SQUARE)
    return math.ceil(side), math.ceil(side)


def _rectangle(mask_box: Box, reach: Reach, least: int) -> tuple[int, int]:
    """E2's mask rect (box + feather + 4 + 6 % of the diagonal) and its pad, drawn towards a square."""
    margin = max(math.ceil(reach.feather + 4 + 0.06 * math.hypot(mask_box.width, mask_box.height)), reach.pixels)
    width, height = (max(side + 2 * margin, least) for side in (mask_box.width, mask_box.height))
    pad = max(max(width, height) / 16, (width + height) / 4)
    width, height = math.ceil(width + pad), math.ceil(height + pad)
    longest = max(width, height)
    shortest = max((width + height) // 2 if width != height else longest, math.ceil(longest / FLATTEST))
    return max(width, min(shortest, longest)), max(height, min(shortest, longest))


def _place(low: int, high: int, margin: int, length: int, limit: int, lattice: int, multiple: int) -> tuple[int, int]:
    """One axis: a span of about `length` around low..high, inside 0..limit, on the lattice where there is room."""
    length = -(-length // multiple) * multiple
    if length >= limit:
        return 0, limit
    start = (low + high - length) // 2
    start, end = start // lattice * lattice, -(-(start + length) // lattice) * lattice
    if end - start >= limit:
        return 0, limit
    if start < 0:
        start, end = 0, end - start
    elif end > limit:
        start, end = start - (end - limit), limit
    # a mask near the border: the shifted span must still hold all that may change
    return min(start, max(0, low - margin)), max(end, min(limit, high + margin))
