"""What surrounds a hole, at the network's frame and at the region's own size; the same whatever is asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from nanobana.protocol.geometry import Box
from nanobana_engine.models.nano import prefill
from nanobana_engine.models.nano.arrays import Bools, Floats
from nanobana_engine.models.nano.codec import NATIVE
from nanobana_engine.models.nano.masks import bounding_box
from nanobana_engine.models.nano.shifts import refine_shift
from nanobana_engine.planner.detail import Lender

FRAME_MULTIPLE = 16
"""The network halves its 4-pixel patches twice: a frame's sides are multiples of this."""
HOLE_FROM = 0.5
"""Mask value from which a pixel counts as part of the hole; the softer rim is context, and blended by the engine."""
SMOOTH_RIM = 32
"""Pixels around a hole from which it is filled smoothly."""
PATCHMATCH_SIDE = 96
"""Side of the square on which PatchMatch runs for a region larger than the frame; its fill is scaled up then. On
photographs of 256 to 480 pixels fills from 96 are as near to the truth as from 160, in a third of the time (0.08 s)."""


def always() -> bool:
    """Goes on to the end."""
    return True


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
class Region:
    """A hole and what is known around it."""

    hole: Bools
    """(H, W), at the region's own size."""
    small_hole: Bools
    """(h, w), at the frame's."""
    small: Floats
    """(h, w, 3), black in the hole."""

    @property
    def nbytes(self) -> int:
        return self.hole.nbytes + self.small_hole.nbytes + self.small.nbytes


@dataclass(frozen=True, slots=True)
class Around:
    """The guesses at what is in a region's hole; each equals the known picture outside it.

    Nothing in it depends on what is asked for: it is shared by all variations of an edit, and can be made beforehand.
    """

    region: Region
    stacked: Tensor
    """(1, 3, 3, H, W)."""
    small_stacked: Tensor
    """(1, 3, 3, h, w)."""
    costs: tuple[float, float]

    @property
    def guesses(self) -> tuple[Floats, ...]:
        """Each (H, W, 3)."""
        return tuple(np.moveaxis(guess, 0, -1) for guess in self.stacked[0].numpy())

    @property
    def nbytes(self) -> int:
        return self.region.nbytes + self.stacked.nbytes + self.small_stacked.nbytes


def hole_of(mask: Floats) -> Bools:
    """(H, W); an empty mask means all of it."""
    hole = mask > HOLE_FROM
    return hole if hole.any() else np.ones_like(hole)


def region_of(pixels: Floats, mask: Floats) -> Region:
    """A region (H, W, 3) in [0, 1] under a soft mask (H, W)."""
    hole = hole_of(mask)
    size = frame_size(*hole.shape)
    small_hole = covering(hole, size)
    return Region(hole, small_hole, _emptied(_without(pixels, hole), hole, size, small_hole))


def look_around(pixels: Floats, mask: Floats, goes_on: Callable[[], bool] = always) -> Around | None:
    """Guesses for a region (H, W, 3) in [0, 1] under a soft mask (H, W).

    The repeats of the surroundings are searched at the frame's size and made exact at the region's own, while
    PatchMatch, where it is wanted, runs on another core: it needs only the picture.

    Args:
        goes_on: asked between the parts of the work.

    Returns:
        None if it did not go on.
    """
    region = region_of(pixels, mask)
    hole, small_hole, small = region.hole, region.small_hole, region.small
    image, size = _without(pixels, hole), small_hole.shape
    found = prefill.surroundings(small, small_hole)
    if not goes_on():
        return None
    matched: Floats | None = None
    if not found.shows_seams:
        smooth, copies = _at_full_size(image, hole, found, 2)
    else:
        matching = _Matching(image, hole)
        with ThreadPoolExecutor(1, "patchmatch") as beside:
            filling = beside.submit(matching.filled)
            smooth, copies = _at_full_size(image, hole, found, 1)
            matching.get_ready()
            filled = filling.result()
        matched = None if filled is None else matching.enlarged(filled)
    if not goes_on():
        return None
    small_guesses, costs = (found.smooth, *found.copies), found.costs
    if matched is not None:
        guesses = _preferring(matched, smooth, copies[0], shrunk(found.doubt[..., None], hole.shape))
        small_matched = np.where(small_hole[..., None], shrunk(matched, size), small)
        small_guesses = _preferring(small_matched, found.smooth, found.copies[0], found.doubt[..., None])
        costs = (prefill.PATCHMATCH_COST, found.costs[0])
    else:
        if len(copies) < 2:
            smooth, copies = _at_full_size(image, hole, found, 2)
        guesses = (smooth, copies[0], copies[1])
    return Around(region, stack(guesses), stack(small_guesses), costs)


def _preferring(matched: Floats, smooth: Floats, copy: Floats, doubt: Floats) -> tuple[Floats, Floats, Floats]:
    """PatchMatch's fill as the likelier copy, and in place of the others where the shifted one is in doubt.

    The network mixes what it is given: between seams that do not meet, a little of a shifted copy shows as stutter and
    a little of the smooth fill as a veil.
    """
    smooth, copy = (guess + (matched - guess) * doubt for guess in (smooth, copy))
    return smooth, matched, copy


def _without(pixels: Floats, hole: Bools) -> Floats:
    return np.where(hole[..., None], 0, pixels).astype(np.float32)


def stack(guesses: Sequence[Floats]) -> Tensor:
    """(H, W, 3) pictures → (1, N, 3, H, W)."""
    return torch.stack([planes(guess) for guess in guesses], 1)


def _emptied(image: Floats, hole: Bools, size: tuple[int, int], small_hole: Bools) -> Floats:
    """An image whose hole is black at another size: no black gets into what is known."""
    if hole.shape == size:
        return image
    known = shrunk((~hole)[..., None].astype(np.float32), size)
    return np.where(small_hole[..., None], 0, shrunk(image, size) / np.maximum(known, 1e-3)).astype(np.float32)


def _at_full_size(image: Floats, hole: Bools, found: prefill.Surroundings, count: int) -> tuple[Floats, list[Floats]]:
    """The smooth fill and the likeliest `count` copies, one or two, at the region's size."""
    if hole.shape == found.smooth.shape[:2]:
        return found.smooth, list(found.copies[:count])
    left, top, right, bottom = bounding_box(hole)
    part = (slice(max(0, top - SMOOTH_RIM), bottom + SMOOTH_RIM), slice(max(0, left - SMOOTH_RIM), right + SMOOTH_RIM))
    smooth = image.copy()
    smooth[part] = prefill.diffuse(image[part], hole[part])
    scale_y, scale_x = (here / small for here, small in zip(hole.shape, found.smooth.shape[:2], strict=True))
    radius = max(1, int(np.ceil(max(scale_y, scale_x) / 2)))
    scaled = [(round(y * scale_y), round(x * scale_x)) for y, x in found.shifts]
    exact = [refine_shift(image, hole, shift, radius) for shift in scaled[:2]]
    return smooth, prefill.copies_by(image, hole, smooth, [*exact, *scaled[2:]], count)


class _Matching:
    """PatchMatch's fill of an image's hole, made on a smaller image where the region is larger than the frame."""

    def __init__(self, image: Floats, hole: Bools) -> None:
        height, width = hole.shape
        side = max(height, width) if height * width <= NATIVE**2 else PATCHMATCH_SIDE
        scale = min(1.0, side / float(np.sqrt(height * width)))
        size = (round(height * scale), round(width * scale))
        self._image, self._hole = image, hole
        self._small_hole = covering(hole, size)
        self._small = _emptied(image, hole, size, self._small_hole)
        self._lender: Lender | None = None

    def filled(self) -> Floats | None:
        """The fill at its own size; None where there is none."""
        return prefill.patchmatch(self._small, self._small_hole, 0)

    def get_ready(self) -> None:
        """Do what `enlarged` needs of the image, and not of the fill: both can be made at the same time."""
        if self._small.shape != self._image.shape:
            self._lender = Lender(_bytes(self._image), self._hole, _bytes(self._small), self._small_hole)

    def enlarged(self, filled: Floats) -> Floats:
        """The fill in the hole of the image itself, with the detail of what it resembles there."""
        if self._lender is None:
            return filled
        left, top, right, bottom = bounding_box(self._hole)
        part = (slice(top, bottom), slice(left, right))
        large = _bytes(shrunk(filled, self._hole.shape)[part])
        detailed = self._lender.lend(_bytes(filled), large, Box(left, top, right, bottom)).astype(np.float32)
        whole = self._image.copy()
        whole[part] = np.where(self._hole[part][..., None], detailed / np.float32(255), whole[part])
        return whole


def _bytes(picture: Floats) -> npt.NDArray[np.uint8]:
    return np.rint(np.clip(picture, 0, 1) * 255).astype(np.uint8)
