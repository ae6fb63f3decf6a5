"""Coverage masks of ops: one bit a pixel of a tile, deflated; what undo goes by (C9)."""

import zlib

import numpy as np

from nanobana.protocol.errors import BadInput
from nanobana.protocol.geometry import TILE
from nanobana.raster.pixels import Covered

WHOLE = "*"
"""Stands for a coverage blob's name where an op wrote the whole tile."""


def pack(covered: Covered) -> bytes:
    """A [256, 256] mask in a few hundred bytes at most for a stroke, 8 KiB for noise."""
    return zlib.compress(np.packbits(covered).tobytes(), 1)


def unpack(data: bytes) -> Covered:
    """The mask again.

    Raises:
        BadInput: ``bad_coverage`` where the bytes are not a packed tile mask.
    """
    try:
        bits = zlib.decompressobj().decompress(data, TILE * TILE // 8 + 1)
    except zlib.error as error:
        raise BadInput(f"a coverage mask cannot be read: {error}", code="bad_coverage") from error
    if len(bits) != TILE * TILE // 8:
        raise BadInput("a coverage mask has the wrong size", code="bad_coverage")
    return np.unpackbits(np.frombuffer(bits, np.uint8)).reshape(TILE, TILE).astype(np.bool_)


def whole() -> Covered:
    """Every pixel of a tile."""
    return np.ones((TILE, TILE), np.bool_)
