"""Overlapping tiles put together: each fades towards the borders that it shares with a neighbour (E3)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from PIL import Image

from nanobana.protocol.geometry import Box
from nanobana_engine.planner.resample import to_bytes

Floats = npt.NDArray[np.float32]
Bytes = npt.NDArray[np.uint8]

CELL = 32
"""Pixels over which colours are averaged where a refined tile is held to what it refines."""
BOX, BILINEAR = Image.Resampling.BOX, Image.Resampling.BILINEAR
NO_CAST = 0.5 / 255.0


@dataclass(slots=True)
class Mosaic:
    """One variation's tiles of a stage, 8 bits each, read as the one picture that they make."""

    size: tuple[int, int]
    """Width and height of the stage."""
    overlap: int
    """Width of the fade at a border inside the picture."""
    beneath: Callable[[Box], Floats]
    """What shows where there is no tile, [h, w, 3] in 0..1."""
    tiles: dict[Box, Bytes] = field(default_factory=dict)

    def add(self, tile: Box, picture: Floats) -> None:
        """A finished tile, [h, w, 3] in 0..1."""
        self.tiles[tile] = to_bytes(picture)

    def read(self, box: Box) -> Bytes:
        """A part of the picture, averaged by the tiles' weights where they overlap."""
        total = np.zeros((box.height, box.width, 3), np.float32)
        weights = np.zeros((box.height, box.width, 1), np.float32)
        for tile, picture in self.tiles.items():
            part = tile.intersect(box)
            if part.is_empty:
                continue
            if part == box and self._is_inner(tile, box):
                return picture[box.y0 - tile.y0 : box.y1 - tile.y0, box.x0 - tile.x0 : box.x1 - tile.x0]
            weight = (
                self._ramp(tile.y0, tile.y1, self.size[1])[part.y0 - tile.y0 : part.y1 - tile.y0, None, None]
                * self._ramp(tile.x0, tile.x1, self.size[0])[None, part.x0 - tile.x0 : part.x1 - tile.x0, None]
            )
            where = (slice(part.y0 - box.y0, part.y1 - box.y0), slice(part.x0 - box.x0, part.x1 - box.x0))
            of = (slice(part.y0 - tile.y0, part.y1 - tile.y0), slice(part.x0 - tile.x0, part.x1 - tile.x0))
            total[where] += weight * picture[of]
            weights[where] += weight
        if weights.min() <= 0.0:
            np.copyto(total, self.beneath(box) * np.float32(255.0), where=weights <= 0.0)
        return np.rint(total / np.where(weights > 0.0, weights, 1.0)).astype(np.uint8)

    def _is_inner(self, tile: Box, box: Box) -> bool:
        """Whether no other tile reaches into a box inside this one."""
        return not any(other != tile and not other.intersect(box).is_empty for other in self.tiles)

    def _ramp(self, start: int, end: int, limit: int) -> Floats:
        """Weights along one axis of a tile: rising from its first pixel unless that is the picture's own border."""
        distance = np.arange(end - start, dtype=np.float32) + 0.5
        ramp = np.ones_like(distance)
        if start > 0:
            ramp = np.minimum(ramp, distance / self.overlap)
        if end < limit:
            ramp = np.minimum(ramp, distance[::-1] / self.overlap)
        return np.asarray(np.minimum(ramp, 1.0), np.float32)


def held_to(picture: Floats, earlier: Floats, masked: Floats, depth: Floats) -> Floats:
    """A refined tile with the slow colours of what it refines: neighbours that drifted apart meet again.

    Args:
        picture, earlier: [h, w, 3] in 0..1.
        masked: the user's mask, [h, w]: where the canvas has a share in both, they say nothing of the tile.
        depth: D, [h, w]: towards its end the tile is the canvas, and stays it.

    Returns:
        `picture` itself where they differ by less than a step of 8 bits.
    """
    height, width = picture.shape[:2]
    cells = (max(1, width // CELL), max(1, height // CELL))
    weight = np.maximum(masked, np.float32(1e-4))
    planes = [weight, *(weight * (earlier[..., each] - picture[..., each]) for each in range(3))]
    total, *drift = (np.asarray(Image.fromarray(plane).resize(cells, BOX)) for plane in planes)
    means = [plane / total for plane in drift]
    if max(float(np.abs(plane).max()) for plane in means) < NO_CAST:
        return picture
    smooth = [np.asarray(Image.fromarray(plane).resize((width, height), BILINEAR)) for plane in means]
    inner = np.clip(2.0 * depth - 1.0, 0.0, 1.0)[..., None]
    held: Floats = np.clip(picture + inner * np.stack(smooth, axis=-1), 0.0, 1.0).astype(np.float32)
    return held
