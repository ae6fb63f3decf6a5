"""Fine detail for a fill that was made at a smaller scale: each piece borrows that of the known piece it resembles.

What a picture has beyond a scale (grain, blades of grass, the pores of a brick) is missing from a fill that was made at
that scale. Every piece of the fill gets the fine detail of that one among some thousand known pieces whose coarse look
is nearest (example-based super-resolution, Freeman et al. 2002, with the picture as its own examples).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from nanobana.protocol.geometry import Box
from nanobana_engine.planner.resample import reading, resize

Bytes = npt.NDArray[np.uint8]
Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float32]
Corners = npt.NDArray[np.intp]

LOOK = 512 * 640
"""Pixels of the picture on which pieces are compared, at the most."""
SIDE, STRIDE = 8, 4
"""Side of a compared piece and the distance between pieces, in pixels of that picture; pieces overlap by half."""
MOST, BANK_BYTES = 4096, 32 << 20
"""Known pieces in the bank, and the bytes of their detail, at the most."""
DIMENSIONS = 16
"""Principal components by which pieces are compared."""
ALIKE = 30.0
"""Pieces that differ by more than this of 255 a pixel (root mean square) have little to lend each other."""
AT_ONCE = 2048
"""Pieces that are compared with the bank in one product."""


@dataclass(slots=True)
class Detail:
    """The detail of one picture's fill, given out window by window."""

    read: Callable[[Box], Bytes]
    """The picture at full scale, [h, w, 3], of any box."""
    size: tuple[int, int]
    """Its width and height."""
    look: tuple[int, int]
    """Width and height at which pieces were compared."""
    scale: float
    """The scale at which the fill was made: what the picture has beyond it is what is missing."""
    corners: npt.NDArray[np.intp]
    """[m, 2]: y, x of the fill's pieces in pixels of the look."""
    chosen: npt.NDArray[np.intp]
    """[m, 2]: y, x of the known piece that each resembles."""
    shares: Floats
    """[m]: how much of its detail each takes: little where nothing known is alike."""
    bank: dict[tuple[int, int], npt.NDArray[np.int8]] = field(default_factory=dict)
    """What known pieces have beyond the scale, [h, w, 3] in 255ths; read when first wanted."""
    whole: npt.NDArray[np.int8] | None = None
    """The same of the whole picture, [h, w, 3], where it is small enough to be made at once; then there is no bank."""

    def over(self, box: Box) -> Floats:
        """Detail to add to a window of the fill, [h, w, 3], around 0; in pixels of the picture at full scale."""
        across, down = self.size[0] / self.look[0], self.size[1] / self.look[1]
        high, wide = int(np.ceil(SIDE * down)), int(np.ceil(SIDE * across))
        total = np.zeros((box.height, box.width, 3), np.float32)
        weights = np.zeros((box.height, box.width, 1), np.float32)
        window = np.outer(np.hanning(high + 2)[1:-1], np.hanning(wide + 2)[1:-1]).astype(np.float32)[..., None]
        tops, lefts = (self.corners[:, 0] * down).astype(np.intp), (self.corners[:, 1] * across).astype(np.intp)
        near = (tops < box.y1) & (tops + high > box.y0) & (lefts < box.x1) & (lefts + wide > box.x0)
        pieces = zip(tops[near], lefts[near], self.chosen[near].tolist(), self.shares[near], strict=True)
        for top, left, (y, x), share in pieces:
            part = Box(int(left), int(top), int(left) + wide, int(top) + high).intersect(box)
            to = (slice(part.y0 - box.y0, part.y1 - box.y0), slice(part.x0 - box.x0, part.x1 - box.x0))
            of = (slice(part.y0 - top, part.y1 - top), slice(part.x0 - left, part.x1 - left))
            corner = min(int(x * across), self.size[0] - wide), min(int(y * down), self.size[1] - high)
            if self.whole is not None:
                lent = self.whole[corner[1] : corner[1] + high, corner[0] : corner[0] + wide]
            else:
                if (y, x) not in self.bank:
                    self.bank[y, x] = self._beyond(Box(*corner, corner[0] + wide, corner[1] + high))
                lent = self.bank[y, x]
            total[to] += (share * window[of]) * lent[of]
            weights[to] += window[of] ** 2
        # squares: what is summed is unlike its neighbours, and the mean of unlike grain is weaker grain
        return np.asarray(total / (np.float32(255.0) * np.sqrt(np.maximum(weights, np.float32(1e-4)))), np.float32)

    def _beyond(self, box: Box) -> npt.NDArray[np.int8]:
        """A piece less itself at the smaller scale."""
        part = box.grow(int(np.ceil(4 / self.scale))).intersect(Box(0, 0, *self.size))
        piece = self.read(part)
        small = (max(1, round(part.width * self.scale)), max(1, round(part.height * self.scale)))
        coarse = resize(resize(piece, small), (part.width, part.height))
        inner = (slice(box.y0 - part.y0, box.y1 - part.y0), slice(box.x0 - part.x0, box.x1 - part.x0))
        return _less(piece[inner], coarse[inner])


def borrow(
    read: Callable[[Box], Bytes],
    size: tuple[int, int],
    fill: Bytes,
    hole: Bools,
    scale: float,
    check: Callable[[], None] = lambda: None,
) -> Detail | None:
    """What the picture's known part can lend its fill; None where there is nothing to borrow from or for.

    Args:
        read: the picture at full scale, [h, w, 3], of any box.
        size: its width and height.
        fill: the filled picture at a scale of at most LOOK pixels, [h, w, 3].
        hole: [h, w] at that scale; nothing of it is lent.
        scale: the scale at which the fill was made: what the picture has beyond it is what is missing.
        check: called between pieces of work; may raise, to give up.
    """
    wanted, known = _pieces(size, hole)
    if not len(wanted) or len(known) < DIMENSIONS:
        return None
    return _resembling(read, size, fill, hole, scale, wanted, _Bank(fill, known), check)


class Lender:
    """A picture that is held whole, ready to lend its detail to a fill: what needs no fill is done before there is one.

    Args:
        pixels, hole: the picture at full scale, [h, w, 3] and [h, w].
        small, small_hole: both at the scale of the fill; what stands in the hole says nothing.
    """

    def __init__(self, pixels: Bytes, hole: Bools, small: Bytes, small_hole: Bools) -> None:
        self._pixels = pixels
        self._small_hole = small_hole
        self._size = (hole.shape[1], hole.shape[0])
        self._wanted, known = _pieces(self._size, small_hole)
        self._bank: _Bank | None = None
        if len(self._wanted) and len(known) >= DIMENSIONS:
            self._bank = _Bank(small, known)
            coarse = resize(resize(pixels, (small_hole.shape[1], small_hole.shape[0])), self._size)
            self._beyond = _less(pixels, coarse)

    def lend(self, fill: Bytes, large: Bytes, box: Box) -> Bytes:
        """A part of the enlarged fill with detail.

        Args:
            fill: all of it at its own scale, [h, w, 3]; outside the hole the small picture.
            large: the part, enlarged, [h, w, 3].
            box: which part, in pixels of the picture.
        """
        if self._bank is None:
            return large
        hole, scale = self._small_hole, self._small_hole.shape[1] / self._size[0]
        detail = _resembling(reading(self._pixels), self._size, fill, hole, scale, self._wanted, self._bank)
        detail.whole = self._beyond
        lent = detail.over(box) * np.float32(255.0)
        added: Bytes = np.rint(np.clip(large + lent, 0.0, 255.0)).astype(np.uint8)
        return added


def with_detail(large: Bytes, small: Bytes, small_hole: Bools, pixels: Bytes, hole: Bools) -> Bytes:
    """A fill that is held whole, with the detail that the picture lends it.

    Args:
        large: the fill, enlarged, [h, w, 3].
        small: the fill at its own scale, and its hole.
        pixels, hole: the picture at full scale.

    Returns:
        [h, w, 3]; changed inside the hole only.
    """
    whole = Box(0, 0, hole.shape[1], hole.shape[0])
    return np.where(hole[..., None], Lender(pixels, hole, small, small_hole).lend(small, large, whole), large)


def _resembling(
    read: Callable[[Box], Bytes],
    size: tuple[int, int],
    fill: Bytes,
    hole: Bools,
    scale: float,
    wanted: Corners,
    bank: _Bank,
    check: Callable[[], None] = lambda: None,
) -> Detail:
    """What the known pieces that the fill's wanted pieces resemble can lend."""
    chosen, apart = bank.most_alike(fill, wanted, check)
    shares = np.exp(-((apart / ALIKE) ** 2)).astype(np.float32)
    return Detail(read, size, (hole.shape[1], hole.shape[0]), scale, wanted, bank.corners[chosen], shares)


def _less(fine: Bytes, coarse: Bytes) -> npt.NDArray[np.int8]:
    """What one picture has beyond the other, in 255ths."""
    beyond: npt.NDArray[np.int8] = np.clip(fine.astype(np.int16) - coarse, -127, 127).astype(np.int8)
    return beyond


def _pieces(size: tuple[int, int], hole: Bools) -> tuple[Corners, Corners]:
    """Corners (y, x) of the pieces that touch the hole, and of a thinned set of those that do not."""
    height, width = hole.shape
    if height < SIDE or width < SIDE:
        return np.empty((0, 2), np.intp), np.empty((0, 2), np.intp)
    piece = int(np.ceil(SIDE * size[1] / height)) * int(np.ceil(SIDE * size[0] / width))
    most = min(MOST, BANK_BYTES // (3 * piece))
    sums = np.pad(hole, ((1, 0), (1, 0))).astype(np.int32).cumsum(0).cumsum(1)
    touched = (sums[SIDE:, SIDE:] - sums[:-SIDE, SIDE:] - sums[SIDE:, :-SIDE] + sums[:-SIDE, :-SIDE]) > 0
    wanted = np.argwhere(touched[::STRIDE, ::STRIDE]) * STRIDE
    known = np.argwhere(~touched)
    # a stride that shares no factor with the width spreads what is left over rows and columns alike
    return wanted, known[:: max(1, -(-len(known) // max(1, most)))]


class _Bank:
    """Known pieces of a picture, by their principal components.

    Args:
        corners: at least DIMENSIONS.
    """

    def __init__(self, picture: Bytes, corners: Corners) -> None:
        self.corners = corners
        there = _features(picture, corners)
        self._mean = there.mean(axis=0)
        _, axes = np.linalg.eigh((there - self._mean).T @ (there - self._mean))
        self._axes = axes[:, -DIMENSIONS:].astype(np.float32)
        self._there = (there - self._mean) @ self._axes
        self._squares = (self._there**2).sum(axis=1)

    def most_alike(self, picture: Bytes, wanted: Corners, check: Callable[[], None]) -> tuple[Corners, Floats]:
        """For each wanted piece the index of the known one that looks most like it, and how unlike they are a pixel."""
        found, apart = np.empty(len(wanted), np.intp), np.empty(len(wanted), np.float32)
        for start in range(0, len(wanted), AT_ONCE):
            check()
            here = _features(picture, wanted[start : start + AT_ONCE]) - self._mean
            part = here @ self._axes
            nearest = (self._squares - 2.0 * part @ self._there.T).argmin(axis=1)
            found[start : start + AT_ONCE] = nearest
            # what the components do not see of a piece is unlike anything known, too
            unseen = (here**2).sum(axis=1) - (part**2).sum(axis=1)
            squared = ((part - self._there[nearest]) ** 2).sum(axis=1) + np.maximum(unseen, 0.0)
            apart[start : start + AT_ONCE] = np.sqrt(squared / here.shape[1])
        return found, apart


def _features(picture: Bytes, corners: Corners) -> Floats:
    """[n, SIDE * SIDE * 3]: the pieces at the corners."""
    windows = np.lib.stride_tricks.sliding_window_view(picture, (SIDE, SIDE), axis=(0, 1))
    return windows[corners[:, 0], corners[:, 1]].reshape(len(corners), -1).astype(np.float32)
