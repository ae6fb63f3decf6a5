"""Where a scene repeats itself: shifts found by masked correlation, and copies made along them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy.fft
import scipy.ndimage

from nanobana_engine.models.nano.arrays import Bools, Floats

Shift = tuple[int, int]
Pixels = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class ShiftMap:
    """For each pixel of a hole the offset (dy, dx) to the known pixel it copies; `filled` where there is one."""

    dy: npt.NDArray[np.int16]
    dx: npt.NDArray[np.int16]
    filled: Bools


def best_shifts(image: Floats, hole: Bools) -> tuple[list[Shift], list[float]]:
    """The shifts under which the known part of `image` repeats itself best, and the first two's costs (0: perfectly).

    Statistics of offsets as in He and Sun (2012), found by masked correlation: for each shift s the mean of
    (I(p) − I(p±s))² over known pixels, those near the hole above all, plus a little for holes out of its reach.
    Where the best shift is not level, the second is: horizons run level. The image is judged with its coarse part
    added once more, since a wrong horizon is worse than a wrong blade of grass.
    """
    height, width = hole.shape
    known = (~hole).astype(np.float32)
    if not known.any():
        return [(0, width), (height, 0)], [1.0, 1.0]
    near = scipy.ndimage.uniform_filter(hole.astype(np.float32), max(3, int(0.28 * height)), mode="constant") > 1e-4
    judged = known * np.where(near, np.float32(1), np.float32(0.1))
    shape = (scipy.fft.next_fast_len(2 * height, real=True), scipy.fft.next_fast_len(2 * width, real=True))
    coarse = scipy.ndimage.gaussian_filter(image * known[..., None], (0.03 * height, 0.03 * height, 0))
    coarse /= np.maximum(scipy.ndimage.gaussian_filter(known, 0.03 * height), 1e-3)[..., None]
    judged_image = image + coarse
    centred = (judged_image - judged_image[~hole].mean(0)) * known[..., None]
    energy = (centred**2).sum(-1)
    colours = np.moveaxis(centred, -1, 0)
    planes = [known, energy, judged, judged * energy, hole.astype(np.float32), *colours, *(judged * colours)]
    k, e, j, je, h, *pairs_of_colours = scipy.fft.rfft2(np.stack(planes).astype(np.float32), shape)
    c, jc = np.stack(pairs_of_colours[:3]), np.stack(pairs_of_colours[3:])
    squares = np.conj(je) * k + np.conj(j) * e - 2 * (np.conj(jc) * c).sum(0)
    difference, pairs, cover = scipy.fft.irfft2(np.stack([squares, np.conj(j) * k, np.conj(h) * k]), shape)
    difference, pairs = difference + _mirrored(difference), pairs + _mirrored(pairs)
    dy = scipy.fft.fftfreq(shape[0], 1 / shape[0])[:, None]
    dx = scipy.fft.fftfreq(shape[1], 1 / shape[1])[None, :]
    length = np.hypot(dy, dx)
    unit = max(2e-3, 2 * float((judged * energy).sum()) / float(judged.sum()))
    cover = np.clip(np.maximum(cover, _mirrored(cover)) / max(1.0, float(hole.sum())), 0, 1)
    cost = np.maximum(difference, 0) / np.maximum(pairs, 1) / unit + 0.12 * (1 - cover)
    half_plane = (dy > 0) | ((dy == 0) & (dx > 0))
    within = (length >= max(3.0, 0.06 * height)) & (length < 0.9 * max(height, width))
    allowed = half_plane & within & (pairs > max(16.0, 0.2 * float(judged.sum())))
    if not allowed.any():
        return [(0, width), (height, 0)], [1.0, 1.0]
    cost = np.where(allowed, cost, np.inf)
    first = np.unravel_index(int(cost.argmin()), cost.shape)
    y1, x1 = float(dy[first[0], 0]), float(dx[0, first[1]])
    sine = np.abs(dy * x1 - dx * y1) / np.maximum(length, 1e-6) / max(float(np.hypot(y1, x1)), 1e-6)
    slack = max(1.0, 0.02 * height)
    level = (np.abs(dy) <= slack) & (np.abs(dx) > 3 * slack)
    other = np.where(level if abs(y1) > slack else sine > 0.35, cost, np.inf)
    second = np.unravel_index(int(other.argmin()), cost.shape)
    if not np.isfinite(other[second]):
        second = first
    shifts = [(int(dy[row, 0]), int(dx[0, column])) for row, column in (first, second)]
    shifts += _further(cost, dy, dx, shifts)
    return shifts, [float(min(1.0, cost[index])) for index in (first, second)]


def _further(cost: Floats, dy: Floats, dx: Floats, taken: list[Shift], most: int = 8) -> list[Shift]:
    """The next best shifts that lie apart from those taken, for pixels that these do not reach."""
    left = cost.copy()
    found: list[Shift] = []
    for shift in taken:
        left[(np.abs(dy - shift[0]) <= 5) & (np.abs(dx - shift[1]) <= 5)] = np.inf
    while len(found) < most:
        row, column = np.unravel_index(int(left.argmin()), left.shape)
        if not np.isfinite(left[row, column]):
            break
        found.append((int(dy[row, 0]), int(dx[0, column])))
        left[(np.abs(dy - found[-1][0]) <= 5) & (np.abs(dx - found[-1][1]) <= 5)] = np.inf
    return found


def _mirrored(plane: Floats) -> Floats:
    """A periodic correlation read at −s instead of s."""
    return np.roll(plane[::-1, ::-1], (1, 1), (0, 1))


def lattice_map(hole: Bools, main: Shift, cross: Shift, further: Sequence[Shift] = ()) -> ShiftMap:
    """Copies along multiples of `main`, nearest first, then, where those leave the frame, along `main` and `cross`.

    What neither reaches takes `further` shifts in their order, and then copies of copies.
    """
    height, width = hole.shape
    reach = max(height, width)
    steps = max(1, min(12, int(reach / max(1.0, float(np.hypot(*main))))))
    offsets = [(k * main[0], k * main[1]) for n in range(1, steps + 1) for k in (n, -n)]
    crossings = [
        (a * main[0] + b * cross[0], a * main[1] + b * cross[1]) for b in (1, -1, 2, -2, 3, -3) for a in range(-3, 4)
    ]
    offsets += sorted(crossings, key=lambda s: abs(s[0]) + abs(s[1]))
    offsets += [(sign * y, sign * x) for y, x in further for sign in (1, -1)]
    known = ~hole
    dy, dx = np.zeros((2, height, width), np.int16)
    open_y, open_x = np.nonzero(hole)
    for oy, ox in offsets:
        if not len(open_y):
            break
        y, x = open_y + oy, open_x + ox
        hit = (y >= 0) & (y < height) & (x >= 0) & (x < width)
        hit[hit] = known[y[hit], x[hit]]
        dy[open_y[hit], open_x[hit]], dx[open_y[hit], open_x[hit]] = oy, ox
        open_y, open_x = open_y[~hit], open_x[~hit]
    filled = hole.copy()
    filled[open_y, open_x] = False
    _fill_from_copies(dy, dx, filled, hole, [main, cross, (-main[0], -main[1]), (-cross[0], -cross[1])])
    return ShiftMap(dy, dx, filled)


def _fill_from_copies(
    dy: npt.NDArray[np.int16], dx: npt.NDArray[np.int16], filled: Bools, hole: Bools, shifts: list[Shift]
) -> None:
    """Points what no multiple reached at copies made before, in place: their shift and one more step."""
    height, width = hole.shape
    for step in shifts * 10:
        y, x = np.nonzero(hole & ~filled)
        if not len(y):
            return
        ty, tx = y + step[0], x + step[1]
        ok = (ty >= 0) & (ty < height) & (tx >= 0) & (tx < width)
        ok[ok] = filled[ty[ok], tx[ok]]
        y, x, ty, tx = y[ok], x[ok], ty[ok], tx[ok]
        dy[y, x], dx[y, x] = dy[ty, tx] + step[0], dx[ty, tx] + step[1]
        filled[y, x] = True


def copy_by(image: Floats, smooth: Floats, shifts: ShiftMap) -> Floats:
    """`image` with its hole copied from where `shifts` point; what they do not reach comes from `smooth`."""
    height, width = shifts.filled.shape
    y, x = np.nonzero(shifts.filled)
    copied: Floats = smooth.astype(np.float32)
    there = np.clip(y + shifts.dy[y, x], 0, height - 1), np.clip(x + shifts.dx[y, x], 0, width - 1)
    copied[y, x] = image[there]
    return copied


MOST_SEAM = 0.15
"""Squared difference from which a seam is no worse."""


def seams(image: Floats, copy: Floats, shifts: ShiftMap) -> Iterator[tuple[Pixels, Pixels, Floats]]:
    """Where pieces of a shifted copy meet, and how badly they fit: y, x and squared differences, for each direction.

    Where neighbouring pixels come from different shifts, what stands at one is compared with what the other's shift
    would have put there (the smoothness term of shift-map editing, Pritch et al. 2009), cut off at MOST_SEAM.
    """
    hole = shifts.filled
    height, width = hole.shape
    y, x = np.nonzero(hole)
    for down, right in ((0, 1), (1, 0), (0, -1), (-1, 0)):
        qy, qx = y + down, x + right
        ok = (qy >= 0) & (qy < height) & (qx >= 0) & (qx < width)
        py, px, qy, qx = y[ok], x[ok], qy[ok], qx[ok]
        differs = (shifts.dy[py, px] != shifts.dy[qy, qx]) | (shifts.dx[py, px] != shifts.dx[qy, qx])
        py, px, qy, qx = py[differs], px[differs], qy[differs], qx[differs]
        sy, sx = qy + shifts.dy[py, px], qx + shifts.dx[py, px]
        ok = (sy >= 0) & (sy < height) & (sx >= 0) & (sx < width)
        ok[ok] = ~hole[sy[ok], sx[ok]]
        squares = ((copy[qy[ok], qx[ok]] - image[sy[ok], sx[ok]]) ** 2).sum(-1)
        yield py[ok], px[ok], np.minimum(squares, MOST_SEAM)


def seam_energy(image: Floats, copy: Floats, shifts: ShiftMap) -> float:
    """How visibly the pieces of a shifted copy fail to meet, per pixel of the hole's outline."""
    total = sum(float(squares.sum()) for _, _, squares in seams(image, copy, shifts))
    return total / (4 * max(1.0, float(np.sqrt(np.count_nonzero(shifts.filled)))))


def seam_map(image: Floats, copy: Floats, shifts: ShiftMap) -> Floats:
    """(H, W): the same at each pixel, summed over its neighbours."""
    found: Floats = np.zeros(shifts.filled.shape, np.float32)
    for y, x, squares in seams(image, copy, shifts):
        found[y, x] += squares
    return found


def refine_shift(image: Floats, hole: Bools, shift: Shift, radius: int) -> Shift:
    """The shift within `radius` of a given one under which `image` (H, W, 3) repeats best beside its hole.

    For shifts found on a smaller copy of the image: reads at most 2,000 pixels near the hole.
    """
    height = hole.shape[0]
    near = scipy.ndimage.binary_dilation(hole[::2, ::2], iterations=max(2, height // 16)) & ~hole[::2, ::2]
    y, x = (2 * v for v in np.nonzero(near))
    stride = max(1, len(y) // 2000)
    y, x = y[::stride], x[::stride]
    best, best_cost = shift, np.inf
    for oy in range(-radius, radius + 1):
        for ox in range(-radius, radius + 1):
            cost = _repeat_cost(image, hole, y, x, (shift[0] + oy, shift[1] + ox))
            if cost < best_cost:
                best, best_cost = (shift[0] + oy, shift[1] + ox), cost
    return best


def _repeat_cost(image: Floats, hole: Bools, y: npt.NDArray[np.intp], x: npt.NDArray[np.intp], shift: Shift) -> float:
    """Mean squared difference between the pixels at (y, x) and the known ones `shift` away on either side."""
    height, width = hole.shape
    total, count = 0.0, 0
    for sign in (1, -1):
        ty, tx = y + sign * shift[0], x + sign * shift[1]
        ok = (ty >= 0) & (ty < height) & (tx >= 0) & (tx < width)
        ok[ok] = ~hole[ty[ok], tx[ok]]
        total += float(((image[y[ok], x[ok]] - image[ty[ok], tx[ok]]) ** 2).sum())
        count += int(ok.sum())
    return total / count if count > 50 else float("inf")
