"""Integer geometry of a canvas: boxes, the 256-pixel tile grid, mip levels and their keys."""

from collections.abc import Iterable, Iterator, Sequence

import msgspec

TILE = 256
"""Side of a tile in pixels (C1)."""

MAX_SIDE = 16384
"""Largest width or height of a canvas, in pixels."""

MAX_MIP = 6
"""Highest mip level: 2**6 = 64 canvas pixels per mip pixel."""


Affine = tuple[float, float, float, float, float, float]
"""``(a, b, c, d, e, f)``: x becomes a·x + c·y + e and y becomes b·x + d·y + f, in canvas pixels."""


class Box(msgspec.Struct, frozen=True, array_like=True):
    """A half-open rectangle in canvas pixels: x0 <= x < x1, y0 <= y < y1. On the wire ``[x0, y0, x1, y1]``."""

    x0: int
    y0: int
    x1: int
    y1: int

    @property
    def width(self) -> int:
        return self.x1 - self.x0

    @property
    def height(self) -> int:
        return self.y1 - self.y0

    @property
    def area(self) -> int:
        return max(0, self.width) * max(0, self.height)

    @property
    def is_empty(self) -> bool:
        return self.x1 <= self.x0 or self.y1 <= self.y0

    def intersect(self, other: "Box") -> "Box":
        """The common part; empty (possibly with negative sides) where there is none."""
        return Box(max(self.x0, other.x0), max(self.y0, other.y0), min(self.x1, other.x1), min(self.y1, other.y1))

    def union(self, other: "Box") -> "Box":
        return Box(min(self.x0, other.x0), min(self.y0, other.y0), max(self.x1, other.x1), max(self.y1, other.y1))

    def grow(self, by: int) -> "Box":
        return Box(self.x0 - by, self.y0 - by, self.x1 + by, self.y1 + by)

    def shift(self, dx: int, dy: int) -> "Box":
        return Box(self.x0 + dx, self.y0 + dy, self.x1 + dx, self.y1 + dy)

    def contains(self, other: "Box") -> bool:
        return self.x0 <= other.x0 and self.y0 <= other.y0 and self.x1 >= other.x1 and self.y1 >= other.y1


def tile_box(tx: int, ty: int, level: int = 0) -> Box:
    """The canvas pixels that tile (tx, ty) of a mip level covers."""
    side = TILE << level
    return Box(tx * side, ty * side, (tx + 1) * side, (ty + 1) * side)


def tiles_of(box: Box, level: int = 0) -> Iterator[tuple[int, int]]:
    """Every (tx, ty) that the box touches, row by row; nothing for an empty box."""
    if box.is_empty:
        return
    side = TILE << level
    for ty in range(box.y0 // side, (box.y1 - 1) // side + 1):
        for tx in range(box.x0 // side, (box.x1 - 1) // side + 1):
            yield tx, ty


def bounding(boxes: Iterable[Box]) -> Box:
    """The smallest box around all; Box(0, 0, 0, 0) for none."""
    result: Box | None = None
    for box in boxes:
        result = box if result is None else result.union(box)
    return result or Box(0, 0, 0, 0)


def mip_key(names: Sequence[str]) -> str:
    """The content name of a mip tile: 16 hex digits over the names of the base tiles that it covers.

    Args:
        names: the 4**level base tile names in row-major order, "" for a missing tile.

    Two 32-bit FNV-1a hashes (offset bases 0x811c9dc5 and 0x050c5d1f) over the names joined by ",": cheap without
    secure-context crypto in a browser. It is a cache name, not a proof: the server checks it against the manifest.
    """
    data = ",".join(names).encode()
    a, b = 0x811C9DC5, 0x050C5D1F
    for byte in data:
        a = ((a ^ byte) * 0x01000193) & 0xFFFFFFFF
        b = ((b ^ byte) * 0x01000193) & 0xFFFFFFFF
    return f"{a:08x}{b:08x}"
