"""Cheap checks of what members show each other, before it is passed on undecoded (R10)."""

from collections.abc import Sequence
from math import isfinite

from nanobana.protocol.geometry import TILE

_SIGNATURE = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"
_GRAY = 0


def is_mask_tile(png: bytes) -> bool:
    """Whether the bytes begin as a gray PNG of a tile's size."""
    if len(png) < 33 or not png.startswith(_SIGNATURE) or png[25] != _GRAY:
        return False
    return int.from_bytes(png[16:20], "big") == int.from_bytes(png[20:24], "big") == TILE


def are_finite(numbers: Sequence[float | None]) -> bool:
    """No NaN and no infinity among them."""
    return all(map(isfinite, filter(None, numbers)))  # zeros are left out too
