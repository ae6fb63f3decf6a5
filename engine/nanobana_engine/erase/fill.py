"""PatchMatch at growing sizes, its fill brought to the surroundings' colour and, for large regions, to their detail."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from nanobana_engine.planner.detail import with_detail
from nanobana_engine.planner.prefill import prefill
from nanobana_engine.planner.resample import resize

Bytes = npt.NDArray[np.uint8]
Bools = npt.NDArray[np.bool_]

RADIUS = 5
"""Of the compared patches: 11 x 11. Three is quicker but lays objects into skies, seven costs twice the time."""
LARGEST = 512 * 640
"""Pixels on which PatchMatch runs at the most; a larger context is filled at a smaller scale, then given detail."""
COARSE = (0.25, 0.5)
"""Scales of the quick first fills, of the final one's: they are the previews."""
SMALLEST = 48
"""A fill at a scale that makes the shorter side smaller than this shows nothing."""
CAST = 20.0
"""Differences well above this at the rim (of 255) are structure, not colour."""


@dataclass(frozen=True, slots=True)
class Fill:
    """One try; the last is the result."""

    step: int
    of: int
    picture: Bytes
    """[h, w, 3] at the context's size."""


def fills(pixels: Bytes, hole: Bools, mask: Bools, seed: int) -> Iterator[Fill]:
    """Fill a hole, coarse first.

    Args:
        pixels: [h, w, 3], the context.
        hole: [h, w], what is filled: the mask and a rim around it, in which the fill can be compared with the truth.
        mask: [h, w], the user's mask, inside the hole.
        seed: equal seeds give equal pixels (E11).

    Yields:
        Fills that change nothing outside the hole.
    """
    height, width = hole.shape
    scale = min(1.0, math.sqrt(LARGEST / (height * width)))
    scales = [scale * factor for factor in COARSE if min(height, width) * scale * factor >= SMALLEST] + [scale]
    for number, each in enumerate(scales, 1):
        final = number == len(scales)
        picture = _filled(pixels, hole, each, seed, detailed=final)
        if final:
            picture = seamless(picture, pixels, hole, mask)
        yield Fill(number, len(scales), picture)


def _filled(pixels: Bytes, hole: Bools, scale: float, seed: int, *, detailed: bool) -> Bytes:
    import patchmatch

    patchmatch.set_random_seed(seed)
    if scale >= 1.0:
        return np.asarray(patchmatch.inpaint(pixels, hole, patch_size=RADIUS), np.uint8)
    height, width = hole.shape
    size = (max(8, round(width * scale)), max(8, round(height * scale)))
    # a small pixel is a hole if any of its pixels is: the old content must not bleed into what is copied
    small_hole = np.asarray(Image.fromarray(hole.astype(np.uint8) * 255).resize(size, Image.Resampling.BOX)) > 0
    small = resize(pixels, size)
    filled = np.asarray(patchmatch.inpaint(small, small_hole, patch_size=RADIUS if detailed else 3), np.uint8)
    large = resize(filled, (width, height))
    if detailed:
        large = with_detail(large, filled, small_hole, pixels, hole)
    return np.where(hole[..., None], large, pixels)


def seamless(filled: Bytes, pixels: Bytes, hole: Bools, mask: Bools) -> Bytes:
    """The fill with the colour difference at its rim carried smoothly across it (a membrane, as in seamless cloning).

    In the rim (hole without mask) fill and truth can be compared; large differences there are structure and count
    for nothing.
    """
    rim = hole & ~mask
    if not rim.any():
        return filled
    difference = pixels.astype(np.float32) - filled
    colour = difference * np.exp(-((difference / CAST) ** 4))
    membrane = prefill(colour * rim[..., None], ~rim)
    corrected = np.rint(np.clip(filled + membrane, 0, 255)).astype(np.uint8)
    return np.where(hole[..., None], corrected, pixels)
