"""Which pixels of each level of an autoencoder are computed for a part of its latents. No torch.

A level is a plane of the network at one resolution; its pixels are counted from its own corner. The coarsest has a
pixel a latent cell, each finer one twice as many along a side. What is wanted may have any shape, a brush stroke's say.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import scipy.ndimage

from nanobana_engine.models.vae.boxes import Bools, Boxes

CELLS, LEAST_SIDE = 2, 4
"""Of a picture's latents along a side of the squares that boxes are made of, and pixels along it at the least."""


def side_of(level: int) -> int:
    """Of the squares of a level, 0 the coarsest."""
    return max(LEAST_SIDE, CELLS << level)


def finer(plane: Bools, factor: int) -> Bools:
    """[h, w] → [h · factor, w · factor]"""
    return plane.repeat(factor, axis=0).repeat(factor, axis=1)


def halved(plane: Bools) -> Bools:
    """[h, w] → [h / 2, w / 2], true where any of four is."""
    height, width = plane.shape
    return np.asarray(plane.reshape(height // 2, 2, width // 2, 2).any(axis=(1, 3)), np.bool_)


def grown(plane: Bools, by: int) -> Bools:
    """With so many pixels around what is true."""
    found: Bools = np.asarray(scipy.ndimage.maximum_filter(plane, 2 * by + 1, mode="constant"), np.bool_)
    return found


def decoded_over(wanted: Bools, margins: Sequence[int]) -> list[Boxes]:
    """What each level of a decoder computes, the coarsest first.

    Args:
        wanted: [h, w], cells.
        margins: around them, in pixels of each level.
    """
    found: list[Boxes] = []
    needed = np.zeros_like(finer(wanted, 2 ** (len(margins) - 1)))
    for level in reversed(range(len(margins))):
        region = grown(finer(wanted, 2**level), margins[level])
        at = Boxes.over(region | needed, side_of(level))
        found.append(at)
        needed = halved(grown(at.covered, 1)) if level else needed
    return found[::-1]


def encoded_over(wanted: Bools, margins: Sequence[int]) -> list[Boxes]:
    """What each finer level of an encoder computes, the finest first, and last the squares of the coarsest that are
    made of it.

    Args:
        wanted: [h, w], cells.
        margins: around them, in pixels of each level, the finest first, without the coarsest.
    """
    found = [Boxes.over(wanted, CELLS)]
    for level, margin in enumerate(reversed(margins), 1):
        region = grown(finer(wanted, 2**level), margin) | finer(found[-1].covered, 2)
        found.append(Boxes.over(region, side_of(level)))
    return found[::-1]


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


def encoder_margins(convolutions: Sequence[int], halo: int) -> list[int]:
    """The same of an encoder's levels above its coarsest, the finest first.

    Args:
        convolutions: the finest level's first.
        halo: at the most, in cells.
    """
    found: list[int] = []
    for count in reversed(convolutions):
        found.append(count + 2 * found[-1] if found else count)
    return [min(each, halo * 2 ** (level + 1)) for level, each in enumerate(found)][::-1]
