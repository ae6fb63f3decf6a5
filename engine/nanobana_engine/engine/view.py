"""The visible picture of an edit's context, read piece by piece: nobody holds a large one whole (E3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from nanobana.protocol.geometry import Box
from nanobana.raster.pixels import Rgba


class View(Protocol):
    """Pixels of a context as they were when the edit began; read from any thread, one at a time."""

    @property
    def size(self) -> tuple[int, int]:
        """Width and height."""
        ...

    def read(self, box: Box) -> Rgba:
        """[h, w, 4] of a box inside the context, in its own pixels; not to be written to."""
        ...


@dataclass(frozen=True, slots=True)
class Whole:
    """A context that is held as one array."""

    pixels: Rgba

    @property
    def size(self) -> tuple[int, int]:
        return self.pixels.shape[1], self.pixels.shape[0]

    def read(self, box: Box) -> Rgba:
        return self.pixels[box.y0 : box.y1, box.x0 : box.x1]
