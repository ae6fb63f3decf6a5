"""What the model finds in a hole before its first step: the surroundings, carried in smoothly (E4)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image

Floats = npt.NDArray[np.float32]

RIM = 16
"""Pixels around a hole from which it is filled; more where less is known."""


def prefill(pixels: Floats, hole: npt.NDArray[np.bool_]) -> Floats:
    """The picture with its hole filled by a pyramid: known pixels are averaged down, unknown ones filled on the way up.

    Args:
        pixels: [h, w, 3] in 0..1; what is under the hole has no influence.
        hole: [h, w].

    Returns:
        [h, w, 3]; equal to `pixels` outside the hole; mid-gray where nothing is known at all.
    """
    if not hole.any():
        return pixels
    if hole.all():
        return np.full_like(pixels, 0.5)
    rows, columns = np.flatnonzero(hole.any(axis=1)), np.flatnonzero(hole.any(axis=0))
    # the hole and a rim around it: what lies farther away has no say
    part = (
        slice(max(0, int(rows[0]) - RIM), int(rows[-1]) + 1 + RIM),
        slice(max(0, int(columns[0]) - RIM), int(columns[-1]) + 1 + RIM),
    )
    known = np.ascontiguousarray(~hole[part]).astype(np.float32)
    there = pixels[part]
    height, width = known.shape
    result = pixels.copy()
    # what is known here keeps its colour and the rest takes the fill's, so this level is neither weighted nor mixed
    saturated, gain = _saturated(_halved(known))
    planes = [there[..., channel] * known for channel in range(3)]
    below = _fill([_halved(plane) * gain for plane in planes], saturated)
    unknown = np.float32(1.0) - known
    for channel, smooth in enumerate(below):
        result[part][..., channel] = planes[channel] + _enlarged(smooth, width, height) * unknown
    return result


def _fill(weighted: list[Floats], weight: Floats) -> list[Floats]:
    """Colour times weight and weight → colour everywhere; push-pull by halves (Gortler et al. 1996)."""
    height, width = weight.shape
    here = [np.asarray(plane / np.maximum(weight, 1e-6), np.float32) for plane in weighted]
    if weight.min() >= 1.0 or max(height, width) <= 1:
        return here
    saturated, gain = _saturated(_halved(weight))
    below = _fill([_halved(plane) * gain for plane in weighted], saturated)
    share = np.minimum(weight, 1.0)
    return [
        np.asarray(mine * share + _enlarged(smooth, width, height) * (1.0 - share), np.float32)
        for mine, smooth in zip(here, below, strict=True)
    ]


def _saturated(half: Floats) -> tuple[Floats, Floats]:
    """The weight of the next level, and what its colours are multiplied with.

    A cell with any known pixel counts as known: saturating the weight keeps far colours from washing it out.
    """
    saturated = np.minimum(np.float32(4.0) * half, np.float32(1.0))
    return saturated, saturated / np.maximum(half, np.float32(1e-6))


def _halved(plane: Floats) -> Floats:
    """Means of 2 x 2; at an odd border of what there is."""
    return np.asarray(Image.fromarray(plane).reduce(2))


def _enlarged(plane: Floats, width: int, height: int) -> Floats:
    doubled = Image.fromarray(plane).resize((plane.shape[1] * 2, plane.shape[0] * 2), Image.Resampling.BILINEAR)
    return np.asarray(doubled)[:height, :width]
