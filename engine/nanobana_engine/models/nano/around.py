"""What surrounds a hole, at the network's frame and at the region's own size; shared by the variations of an edit."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from dataclasses import dataclass

import numpy as np
import scipy.ndimage
import torch
import torch.nn.functional as F
from torch import Tensor

from nanobana_engine.models.nano import prefill
from nanobana_engine.models.nano.arrays import Bools, Floats
from nanobana_engine.models.nano.codec import NATIVE
from nanobana_engine.models.nano.shifts import refine_shift

FRAME_MULTIPLE = 16
"""The network halves its 4-pixel patches twice: a frame's sides are multiples of this."""
HOLE_FROM = 0.5
"""Mask value from which a pixel counts as part of the hole; the softer rim is context, and blended by the engine."""
PATCHMATCH_AREA = 160**2
"""Pixels on which PatchMatch runs at the most (a third of a second); larger regions get its fill scaled up."""


def frame_size(height: int, width: int) -> tuple[int, int]:
    """The network's frame for a region: of its shape, about NATIVE² in area, sides multiples of FRAME_MULTIPLE."""
    scale = NATIVE / np.sqrt(height * width)
    sides = [max(2, round(side * scale / FRAME_MULTIPLE)) * FRAME_MULTIPLE for side in (height, width)]
    return sides[0], sides[1]


def planes(image: Floats) -> Tensor:
    """(H, W, C) → (1, C, H, W) float32."""
    return torch.from_numpy(np.ascontiguousarray(np.moveaxis(image, -1, 0)[None]).astype(np.float32))


def shrunk(image: Floats, size: tuple[int, int]) -> Floats:
    """(H, W, C) averaged down (or, below the frame, smoothly up) to another size."""
    tensor = planes(image)
    if tensor.shape[-2:] == size:
        return image
    if tensor.shape[-2] >= size[0] and tensor.shape[-1] >= size[1]:
        small = F.interpolate(tensor, size, mode="area")
    else:
        small = F.interpolate(tensor, size, mode="bicubic", align_corners=False).clamp(0, 1)
    return np.moveaxis(small[0].numpy(), 0, -1)


def covering(hole: Bools, size: tuple[int, int]) -> Bools:
    """The hole at another size, with every pixel that any of it touches."""
    if hole.shape == size:
        return hole
    return shrunk(hole[..., None].astype(np.float32), size)[..., 0] > 1e-3


@dataclass(frozen=True, slots=True)
class Around:
    """A region with its hole emptied and the guesses at what was there, at the frame's size (`small`) and its own."""

    hole: Bools
    image: Floats
    """(H, W, 3), black in the hole."""
    guesses: tuple[Floats, Floats, Floats]
    small_hole: Bools
    small: Floats
    small_guesses: tuple[Floats, Floats, Floats]
    costs: tuple[float, float]


def look_around(pixels: Floats, mask: Floats) -> Around:
    """Guesses for a region (H, W, 3) in [0, 1] under a soft mask (H, W); an empty mask means all of it.

    The repeats of the surroundings are searched at the frame's size and made exact at the region's own.
    """
    hole = mask > HOLE_FROM
    if not hole.any():
        hole = np.ones_like(hole)
    image = np.where(hole[..., None], 0, pixels).astype(np.float32)
    size = frame_size(*hole.shape)
    small_hole = covering(hole, size)
    known = shrunk((~hole)[..., None].astype(np.float32), size)
    small = np.where(small_hole[..., None], 0, shrunk(image, size) / np.maximum(known, 1e-3)).astype(np.float32)
    found = prefill.surroundings(small, small_hole)
    guesses = (found.smooth, *found.copies) if hole.shape == size else _at_full_size(image, hole, found, size)
    matched = _patchmatch(image, hole, None if found.in_shreds else guesses[1]) if found.shows_seams else None
    if matched is not None:
        guesses = (guesses[0], matched, guesses[0] if found.in_shreds else guesses[1])
        found = found.with_patchmatch(np.where(small_hole[..., None], shrunk(matched, size), small))
    return Around(hole, image, guesses, small_hole, small, (found.smooth, *found.copies), found.costs)


def _at_full_size(
    image: Floats, hole: Bools, found: prefill.Surroundings, size: tuple[int, int]
) -> tuple[Floats, Floats, Floats]:
    scale_y, scale_x = hole.shape[0] / size[0], hole.shape[1] / size[1]
    radius = max(1, int(np.ceil(max(scale_y, scale_x) / 2)))
    scaled = [(round(y * scale_y), round(x * scale_x)) for y, x in found.shifts]
    exact = [refine_shift(image, hole, shift, radius) for shift in scaled[:2]]
    return prefill.guesses_by(image, hole, [*exact, *scaled[2:]])


def _patchmatch(image: Floats, hole: Bools, copy: Floats | None) -> Floats | None:
    """PatchMatch's fill at the region's size; above PATCHMATCH_AREA scaled up, with the grain of `copy`."""
    height, width = hole.shape
    scale = min(1.0, float(np.sqrt(PATCHMATCH_AREA / (height * width))))
    if scale == 1.0:
        return prefill.patchmatch(image, hole, 0)
    size = (round(height * scale), round(width * scale))
    small_hole = covering(hole, size)
    known = shrunk((~hole)[..., None].astype(np.float32), size)
    filled = prefill.patchmatch(shrunk(image, size) / np.maximum(known, 1e-3), small_hole, 0)
    if filled is None:
        return None
    large = shrunk(filled, (height, width))
    if copy is None:
        return np.where(hole[..., None], large, image).astype(np.float32)
    blur = 0.6 / scale
    detail = copy - scipy.ndimage.gaussian_filter(copy, (blur, blur, 0))
    limit = 2.5 * float(np.median(np.abs(detail[hole])))  # grain passes, the copy's own lines do not
    detail = np.clip(detail, -limit, limit)
    return np.where(hole[..., None], np.clip(large + detail, 0, 1), image).astype(np.float32)


class AroundCache:
    """The last few regions looked at, by their content: variations and re-rolls guess nothing twice."""

    def __init__(self, entries: int = 4) -> None:
        self._entries = entries
        self._kept: OrderedDict[bytes, Around] = OrderedDict()

    def look(self, pixels: Floats, mask: Floats) -> Around:
        """`look_around`, or its earlier answer for the same pixels outside the same hole."""
        hole = mask > HOLE_FROM
        digest = hashlib.blake2b(np.packbits(hole).tobytes(), digest_size=16)
        digest.update(repr(pixels.shape).encode())
        digest.update(np.ascontiguousarray(np.where(hole[..., None], 0, pixels)).tobytes())
        key = digest.digest()
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]
        self._kept[key] = around = look_around(pixels, mask)
        if len(self._kept) > self._entries:
            self._kept.popitem(last=False)
        return around
