"""Which part of each level of an autoencoder belongs to a part of its latents. No torch.

A level is a plane of the network at one resolution; its pixels are counted from its own corner. The coarsest has a
pixel a latent cell, each finer one twice as many along a side.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy.ndimage

from nanobana.protocol.geometry import Box

Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Part:
    """A window of one level."""

    box: Box
    size: tuple[int, int]
    """Width and height of the whole level."""

    @property
    def is_whole(self) -> bool:
        return self.box == Box(0, 0, *self.size)

    @property
    def share(self) -> float:
        """Of the level's area."""
        return self.box.area / (self.size[0] * self.size[1])

    def grown(self, by: int) -> Part:
        return Part(self.box.grow(by).intersect(Box(0, 0, *self.size)), self.size)

    def scaled(self, factor: int) -> Part:
        """The same part of a level that is so many times finer."""
        b = self.box
        return Part(
            Box(b.x0 * factor, b.y0 * factor, b.x1 * factor, b.y1 * factor),
            (self.size[0] * factor, self.size[1] * factor),
        )

    def halved(self) -> Part:
        """The part of the next coarser level that covers it."""
        b = self.box
        return Part(Box(b.x0 // 2, b.y0 // 2, -(-b.x1 // 2), -(-b.y1 // 2)), (self.size[0] // 2, self.size[1] // 2))

    def of(self, outer: Part) -> tuple[slice, slice]:
        """Where it lies in the rows and columns of a larger part of the same level."""
        return (
            slice(self.box.y0 - outer.box.y0, self.box.y1 - outer.box.y0),
            slice(self.box.x0 - outer.box.x0, self.box.x1 - outer.box.x0),
        )


def margins(convolutions: Sequence[int], halo: int) -> list[int]:
    """How far around a part each level of a decoder is computed, in its own pixels, the coarsest first.

    Args:
        convolutions: of 3 × 3 in each level: each looks one pixel further, and a pixel is half a coarser one.
        halo: at the most.
    """
    found: list[int] = []
    for count in reversed(convolutions):
        found.append(count + math.ceil(found[-1] / 2) if found else count)
    return [min(each, halo) for each in reversed(found)]


def clusters(changed: Bools, gap: int) -> list[Box]:
    """Boxes around what is true in a plane, [h, w]; what lies closer together than two gaps is in one box."""
    spread = scipy.ndimage.maximum_filter(changed, 2 * gap + 1)
    labels, _ = scipy.ndimage.label(spread, np.ones((3, 3)))
    found = scipy.ndimage.find_objects(np.where(changed, labels, 0))
    return list(_apart([Box(int(x.start), int(y.start), int(x.stop), int(y.stop)) for y, x in found], gap))


def _apart(boxes: list[Box], gap: int) -> Iterator[Box]:
    """Boxes of which some were joined, until all are apart."""
    while boxes:
        box, *boxes = boxes
        near = [each for each in boxes if not each.intersect(box.grow(gap)).is_empty]
        if not near:
            yield box
            continue
        for each in near:
            boxes.remove(each)
            box = box.union(each)
        boxes.append(box)


def cells_over(box: Box, stride: int) -> Box:
    """The latent cells that a box of pixels touches."""
    return Box(box.x0 // stride, box.y0 // stride, -(-box.x1 // stride), -(-box.y1 // stride))
