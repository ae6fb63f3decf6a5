"""What the surroundings alone say about a hole: a smooth fill, and copies of the scene shifted onto itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import scipy.fft
import scipy.ndimage

from nanobana_engine.models.nano.arrays import Bools, Floats
from nanobana_engine.models.nano.shifts import Shift, ShiftMap, best_shifts, copy_by, lattice_map, seam_energy, seam_map


def diffuse(image: Floats, hole: Bools) -> Floats:
    """Fills `hole` (H, W) of `image` (H, W, 3) smoothly from its border by push-pull; without a border, with grey."""
    return _push_pull(image, (~hole).astype(np.float32)[..., None])


def _push_pull(image: Floats, weight: Floats) -> Floats:
    height, width = weight.shape[:2]
    if min(height, width) <= 1 or weight.min() > 0:
        total = weight.sum()
        mean = (image * weight).sum((0, 1)) / total if total > 0 else np.float32(0.5)
        filled: Floats = np.where(weight > 0, image, mean).astype(np.float32)
        return filled
    odd = ((0, height % 2), (0, width % 2), (0, 0))
    weighted, known = np.pad(image * weight, odd), np.pad(weight, odd)
    half_weight = known[0::2, 0::2] + known[1::2, 0::2] + known[0::2, 1::2] + known[1::2, 1::2]
    half = weighted[0::2, 0::2] + weighted[1::2, 0::2] + weighted[0::2, 1::2] + weighted[1::2, 1::2]
    coarse = _push_pull((half / np.maximum(half_weight, 1e-6)).astype(np.float32), np.minimum(half_weight, 1))
    smooth = _double(coarse)[:height, :width]
    result: Floats = image * weight + smooth * (1 - weight)
    return result


def _double(image: Floats) -> Floats:
    """Twice the size, each new pixel ¾ of the nearer old one and ¼ of the farther, along both axes."""
    for axis in (0, 1):
        before = np.concatenate([image.take([0], axis), image.take(range(image.shape[axis] - 1), axis)], axis)
        after = np.concatenate([image.take(range(1, image.shape[axis]), axis), image.take([-1], axis)], axis)
        pair = np.stack([0.75 * image + 0.25 * before, 0.75 * image + 0.25 * after], axis + 1)
        shape = list(image.shape)
        shape[axis] *= 2
        image = pair.reshape(shape)
    return image


SEAMS_FROM = 0.04
"""Seam energy from which shifted copies show seams: skylines, roads, photographs; walls and tiles stay below."""
STUTTERS_FROM = 0.01
"""The same for shifts under SHORT of the frame: many short steps show earlier."""
SHORT = 0.12
SHREDS_FROM = 8.0
"""Seam energy over the surroundings' roughness from which a copy has nothing to give, not even its grain."""
SMOOTH_SEAMS_FROM = 0.001
"""The same where the surroundings are smooth: in a sky every seam shows."""
DOUBT_REACH = 0.04
"""How far a seam throws doubt on what is beside it, as a share of the frame."""
DOUBT_FULL = 0.002
"""Seam energy a pixel, averaged over that reach, from which a copy has no say."""
PATCHMATCH_COST = -1.0
"""Stands for the first copy's cost where it is no shifted copy but PatchMatch's."""


def patchmatch(image: Floats, hole: Bools, seed: int) -> Floats | None:
    """`image` with its hole filled by PatchMatch; None if the library is not there or nothing is known."""
    if hole.mean() > 0.9:
        return None
    try:
        import patchmatch as library
    except ImportError:
        return None
    library.set_random_seed(seed & 0x7FFFFFFF)
    pixels = np.round(np.where(hole[..., None], 0, image) * 255).astype(np.uint8)
    bytes_filled = library.inpaint(pixels, hole.astype(np.uint8) * 255, patch_size=3)
    filled = np.asarray(bytes_filled, np.float32) / np.float32(255)
    return np.where(hole[..., None], filled, image).astype(np.float32)


def _roughness(image: Floats, hole: Bools) -> float:
    """Mean squared difference of neighbours outside the hole, summed over colours and both directions."""
    known = ~hole
    down = known[1:] & known[:-1]
    right = known[:, 1:] & known[:, :-1]
    if not down.any() or not right.any():
        return 0.0
    steps_down, steps_right = np.diff(image, axis=0)[down], np.diff(image, axis=1)[right]
    return float((steps_down**2).sum() / len(steps_down) + (steps_right**2).sum() / len(steps_right))


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Three guesses at what was behind a hole, each (H, W, 3) in [0, 1] and equal to the image outside it."""

    smooth: Floats
    copies: tuple[Floats, Floats]
    """The likelier first."""
    costs: tuple[float, float]
    shifts: tuple[Shift, ...]
    """The copies' shifts, and further ones for what they do not reach."""
    in_shreds: bool
    """Whether the shifted copies are of no use at all."""
    shows_seams: bool
    """Whether the shifted copies do: PatchMatch is the better guess then."""
    doubt: Floats
    """(H, W): how little the first shifted copy is to be trusted here, 0 … 1, where it shows seams."""

    def with_patchmatch(self, matched: Floats) -> Surroundings:
        """PatchMatch's fill as the first copy, the better shifted one as the second."""
        costs = (PATCHMATCH_COST, self.costs[0])
        second = self.smooth if self.in_shreds else self.copies[0]
        return replace(self, copies=(matched, second), costs=costs)


def surroundings(image: Floats, hole: Bools) -> Surroundings:
    """The guesses for one image (H, W, 3) in [0, 1] and its hole (H, W), without PatchMatch's."""
    smooth = diffuse(image, hole)
    if not hole.any():
        return Surroundings(
            image, (image, image), (0.0, 0.0), ((0, 1), (1, 0)), False, False, np.zeros_like(image[..., 0])
        )
    shifts, costs = best_shifts(image, hole)
    first, second, *further = shifts
    best = lattice_map(hole, first, second, further)
    copies = copy_by(image, smooth, best), copy_by(image, smooth, lattice_map(hole, second, first, further))
    limit = STUTTERS_FROM if np.hypot(*first) < SHORT * hole.shape[0] else SEAMS_FROM
    near = scipy.ndimage.binary_dilation(hole, iterations=max(1, hole.shape[0] // 10))
    roughness = _roughness(image, hole | ~near)
    limit = min(limit, max(SMOOTH_SEAMS_FROM, 3 * roughness))
    seams = seam_energy(image, copies[0], best)
    in_shreds = seams > SHREDS_FROM * max(roughness, 1e-3)
    doubt = np.ones_like(smooth[..., 0]) if in_shreds else _doubt(image, copies[0], best)
    return Surroundings(smooth, copies, (costs[0], costs[1]), tuple(shifts), in_shreds, seams > limit, doubt)


def _doubt(image: Floats, copy: Floats, shifts: ShiftMap) -> Floats:
    """(H, W) 0 … 1: the copy's seams and what lies near them."""
    near = scipy.ndimage.gaussian_filter(seam_map(image, copy, shifts), DOUBT_REACH * image.shape[0])
    doubt: Floats = np.clip(near / DOUBT_FULL, 0, 1).astype(np.float32)
    return doubt


def copies_by(image: Floats, hole: Bools, smooth: Floats, shifts: Sequence[Shift], count: int) -> list[Floats]:
    """The likeliest `count` copies of `image` (H, W, 3) along given shifts, at most two."""
    first, second, *further = shifts
    orders = [(first, second), (second, first)][:count]
    return [copy_by(image, smooth, lattice_map(hole, main, cross, further)) for main, cross in orders]
