"""What of a plane is computed: boxes that together have any shape, and the rows that each of them reads. No torch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Stack:
    """Boxes of one size, which run through a convolution together."""

    corners: Ints
    """[n, 2]: y and x of each."""
    height: int
    width: int

    def pixels(self, frame: int = 0) -> tuple[Ints, Ints]:
        """y and x of the boxes' pixels and so many around each, [n, height + 2 frame, width + 2 frame]."""
        rows, columns = (np.arange(-frame, length + frame) for length in (self.height, self.width))
        ys = self.corners[:, 0, None, None] + rows[None, :, None]
        xs = self.corners[:, 1, None, None] + columns[None, None, :]
        every_y, every_x = np.broadcast_arrays(ys, xs)
        return every_y, every_x

    def nearest(self, ys: Ints, xs: Ints) -> tuple[Ints, Ints]:
        """Of each box, by its pixels or some around it, those of its own that are nearest."""
        top, left = self.corners[:, 0, None, None], self.corners[:, 1, None, None]
        return np.clip(ys, top, top + self.height - 1), np.clip(xs, left, left + self.width - 1)

    def scaled(self, factor: int) -> Stack:
        """The same of a level that is so many times finer."""
        return Stack(self.corners * factor, self.height * factor, self.width * factor)


@dataclass(frozen=True, eq=False)
class Boxes:
    """What of a level is computed. Its pixels are the rows of a list: box after box, each row by row."""

    stacks: tuple[Stack, ...]
    size: tuple[int, int]
    """Width and height of the level."""

    @staticmethod
    def over(wanted: Bools, side: int) -> Boxes:
        """Boxes that cover what is true in a plane, [h, w].

        They are made of squares of a grid over its bounding box: those of a row that lie side by side are one box, and
        boxes of the same columns under one another are one too. So what is a box stays one.
        """
        height, width = wanted.shape
        ys, xs = np.flatnonzero(wanted.any(axis=1)), np.flatnonzero(wanted.any(axis=0))
        if not len(ys):
            return Boxes((), (width, height))
        inner = wanted[ys[0] : ys[-1] + 1, xs[0] : xs[-1] + 1]
        padded = np.pad(inner, [(0, -length % side) for length in inner.shape])
        used = np.asarray(padded.reshape(len(padded) // side, side, -1, side).any(axis=(1, 3)), np.bool_)
        found: dict[tuple[int, int], list[tuple[int, int]]] = {}
        for top, bottom, left, right in _joined(used):
            y0, y1 = top * side, min(bottom * side, inner.shape[0])
            x0, x1 = left * side, min(right * side, inner.shape[1])
            found.setdefault((y1 - y0, x1 - x0), []).append((int(ys[0]) + y0, int(xs[0]) + x0))
        stacks = tuple(Stack(np.array(corners, np.int64), *shape) for shape, corners in found.items())
        return Boxes(stacks, (width, height))

    @cached_property
    def pixels(self) -> tuple[Ints, Ints]:
        """y and x of each row."""
        found = [each.pixels() for each in self.stacks]
        nothing = np.zeros(0, np.int64)
        ys, xs = (np.concatenate([nothing, *(each[axis].reshape(-1) for each in found)]) for axis in (0, 1))
        return ys, xs

    @property
    def share(self) -> float:
        """Of the level's area."""
        return len(self.pixels[0]) / (self.size[0] * self.size[1])

    @cached_property
    def places(self) -> Ints:
        """[h, w]: the row of each pixel, -1 where none is."""
        found = np.full(self.size[::-1], -1, np.int64)
        found[self.pixels] = np.arange(len(self.pixels[0]))
        return found

    @property
    def covered(self) -> Bools:
        """[h, w]"""
        found: Bools = self.places >= 0
        return found

    def outside(self, ys: Ints, xs: Ints) -> Bools:
        """Which pixels are beyond the borders of the level."""
        width, height = self.size
        found: Bools = (ys < 0) | (xs < 0) | (ys >= height) | (xs >= width)
        return found

    def at(self, plane: Ints, ys: Ints, xs: Ints) -> Ints:
        """Of a plane, [h, w], by pixel; beyond the borders what is nearest."""
        found: Ints = plane[ys.clip(0, self.size[1] - 1), xs.clip(0, self.size[0] - 1)]
        return found


def _joined(used: Bools) -> Iterator[tuple[int, int, int, int]]:
    """Top, bottom, left and right of boxes that make up what is true in a plane, [h, w]."""
    growing: dict[tuple[int, int], int] = {}
    for y, row in enumerate([*used, np.zeros(used.shape[1], np.bool_)]):
        edges = np.flatnonzero(np.diff(row.astype(np.int8), prepend=0, append=0)).tolist()
        runs = list(zip(edges[::2], edges[1::2], strict=True))
        for left, right in [run for run in growing if run not in runs]:
            yield growing.pop((left, right)), y, left, right
        for run in runs:
            growing.setdefault(run, y)


@dataclass(frozen=True, slots=True)
class Taken:
    """Rows to take for each box of a stack and what lies around it."""

    rows: Ints
    """[n, height, width]"""
    nothing: Bools
    """[n, height, width]: zeros, beyond the borders of the level."""


def picked(at: Boxes) -> list[Taken]:
    """Each box with a pixel around it, out of all pixels of the level."""
    width, height = at.size
    every = np.arange(width * height).reshape(height, width)
    frames = [each.pixels(1) for each in at.stacks]
    return [Taken(at.at(every, *frame), at.outside(*frame)) for frame in frames]


def framed(at: Boxes) -> list[Taken]:
    """The same out of the boxes' own rows. Where a pixel around a box is in none, the box's own edge is repeated."""
    return [_taken(at, each, each.pixels(1)) for each in at.stacks]


def grown_into(at: Boxes, coarser: Boxes) -> list[Taken]:
    """The same out of a level half as fine, of which each pixel stands for two by two; it covers all of them."""
    frames = [each.pixels(1) for each in at.stacks]
    return [Taken(coarser.at(coarser.places, ys // 2, xs // 2).clip(0), at.outside(ys, xs)) for ys, xs in frames]


def shrunk_into(at: Boxes, finer: Boxes) -> list[Taken]:
    """Each box out of a level twice as fine, with one more row and column behind it there."""
    found = []
    for twice in (each.scaled(2) for each in at.stacks):
        ys, xs = (each[:, 1:, 1:] for each in twice.pixels(1))
        found.append(_taken(finer, twice, (ys, xs)))
    return found


def _taken(source: Boxes, stack: Stack, wanted: tuple[Ints, Ints]) -> Taken:
    rows, near = (source.at(source.places, *pixels) for pixels in (wanted, stack.nearest(*wanted)))
    return Taken(np.where(rows < 0, near, rows).clip(0), source.outside(*wanted))
