"""A large context as the store holds it: encoded tiles, of which only those are decoded that are being read (E3)."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence

from nanobana.protocol.canvas import Layer
from nanobana.protocol.geometry import Box, tiles_of
from nanobana.protocol.stack import seen
from nanobana.raster.codec import decode_tile
from nanobana.raster.compose import flatten
from nanobana.raster.pixels import Rgba, TileKey

DECODED_BYTES = 32 << 20
"""Decoded tiles that are kept, the longest unused first out: a few rows of what one tile of a model reads."""


class StoredView:
    """A `View` of a box of a canvas, as it was when its tiles were read.

    Args:
        box: in canvas pixels.
        layers: bottom to top.
        names: of the tiles that there are.
        data: their bytes.
    """

    def __init__(
        self, box: Box, layers: Sequence[Layer], names: Mapping[TileKey, str], data: Mapping[str, bytes]
    ) -> None:
        self._box = box
        self._layers = layers
        self._seen = seen(layers)
        self._names = names
        self._data = data
        self._decoded: OrderedDict[str, Rgba] = OrderedDict()
        self._used = 0

    @property
    def size(self) -> tuple[int, int]:
        return self._box.width, self._box.height

    @property
    def held_bytes(self) -> int:
        """Encoded and decoded tiles."""
        return self._used + sum(map(len, self._data.values()))

    def read(self, box: Box) -> Rgba:
        """[h, w, 4] of a box in the context's own pixels."""
        there = box.shift(self._box.x0, self._box.y0)
        keys = [(layer.id, tx, ty) for layer in self._seen for tx, ty in tiles_of(there)]
        tiles = {key: self._tile(self._names[key]) for key in keys if key in self._names}
        return flatten(self._layers, tiles, there)

    def _tile(self, name: str) -> Rgba:
        tile = self._decoded.pop(name, None)
        if tile is None:
            tile = decode_tile(self._data[name])
            self._used += tile.nbytes
        self._decoded[name] = tile
        while self._used > DECODED_BYTES and len(self._decoded) > 1:
            _, old = self._decoded.popitem(last=False)
            self._used -= old.nbytes
        return tile
