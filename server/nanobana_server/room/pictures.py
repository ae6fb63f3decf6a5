"""Cheap checks of what members show each other, before it is passed on undecoded (R10)."""

from collections.abc import Sequence
from math import isfinite

from nanobana.protocol.geometry import MAX_SIDE, Box
from nanobana.raster.decode import MAX_PIXELS

_SIGNATURE = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"
_GRAY = 0


def is_mask_of(png: bytes, box: Box) -> bool:
    """Whether the bytes begin as a gray PNG of exactly the box's size, small enough for anybody's browser."""
    if len(png) < 33 or not png.startswith(_SIGNATURE) or png[25] != _GRAY:
        return False
    size = (int.from_bytes(png[16:20], "big"), int.from_bytes(png[20:24], "big"))
    return size == (box.width, box.height) and is_on_canvas(box)


def is_on_canvas(box: Box) -> bool:
    """Whether a box is a box, within the largest canvas and the pixel cap."""
    inside = 0 <= box.x0 < box.x1 <= MAX_SIDE and 0 <= box.y0 < box.y1 <= MAX_SIDE
    return inside and box.area <= MAX_PIXELS


def are_finite(numbers: Sequence[float | None]) -> bool:
    """No NaN and no infinity among them."""
    return all(number is None or isfinite(number) for number in numbers)
