"""Overlapping tiles put together: each fades towards the borders that it shares with a neighbour (E3)."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from nanobana.protocol.geometry import Box

Floats = npt.NDArray[np.float32]


def blend(base: Floats, parts: Iterable[tuple[Box, Floats]], overlap: int) -> Floats:
    """The parts over a base picture, averaged by their weights where they overlap.

    Args:
        base: [h, w, 3]; shows where there is no part.
        parts: boxes in its pixels with their pictures.
        overlap: width of the fade at a border inside the picture.
    """
    height, width = base.shape[:2]
    total, weights = np.zeros_like(base), np.zeros((height, width, 1), np.float32)
    for box, picture in parts:
        if box.width == width and box.height == height:
            return picture
        weight = (
            _ramp(box.y0, box.y1, height, overlap)[:, None, None] * _ramp(box.x0, box.x1, width, overlap)[None, :, None]
        )
        where = (slice(box.y0, box.y1), slice(box.x0, box.x1))
        total[where] += weight * picture
        weights[where] += weight
    return np.where(weights > 0, total / np.maximum(weights, 1e-6), base).astype(np.float32)


def _ramp(start: int, end: int, limit: int, overlap: int) -> Floats:
    """Weights along one axis of a tile: rising from its first pixel unless that is the picture's own border."""
    distance = np.arange(end - start, dtype=np.float32) + 0.5
    ramp = np.ones_like(distance)
    if start > 0:
        ramp = np.minimum(ramp, distance / overlap)
    if end < limit:
        ramp = np.minimum(ramp, distance[::-1] / overlap)
    return np.asarray(np.minimum(ramp, 1.0), np.float32)
