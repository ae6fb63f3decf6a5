"""Cutting a patch along the tile grid, laying its parts on tiles, and putting tiles together again."""

from collections.abc import Iterator
from typing import Literal

from nanobana.protocol.geometry import TILE, Box, tile_box, tiles_of
from nanobana.raster.codec import blank_tile
from nanobana.raster.compose import erase_into, over_into, touched
from nanobana.raster.pixels import Covered, Rgba

PatchMode = Literal["over", "erase"]


def split(patch: Rgba, box: Box) -> Iterator[tuple[int, int, Rgba]]:
    """The parts of a patch as whole transparent-padded tiles ``(tx, ty, [256, 256, 4])``; untouched tiles are left out.

    Args:
        patch: [box.height, box.width, 4].
    """
    for tx, ty in tiles_of(box):
        frame = tile_box(tx, ty)
        part = frame.intersect(box)
        cut = patch[part.y0 - box.y0 : part.y1 - box.y0, part.x0 - box.x0 : part.x1 - box.x0]
        if not cut[..., 3].any():
            continue
        if cut.shape == (TILE, TILE, 4):
            yield tx, ty, cut
            continue
        tile = blank_tile()
        tile[part.y0 - frame.y0 : part.y1 - frame.y0, part.x0 - frame.x0 : part.x1 - frame.x0] = cut
        yield tx, ty, tile


def lay(tile: Rgba | None, part: Rgba, mode: PatchMode) -> tuple[Rgba, Covered]:
    """One tile-sized part of a patch laid on a tile.

    Args:
        tile: what stands there, None for nothing; not changed.
        part: from `split`.

    Returns:
        The new tile and where it was written.
    """
    base = blank_tile() if tile is None else tile.copy()
    if mode == "erase":
        erase_into(base, part)
    elif tile is None:
        base = part.copy()
    else:
        over_into(base, part)
    return base, touched(part)


def crop(pixels: Rgba, box: Box, to: Box) -> Rgba:
    """The part of `pixels` (which cover `box`) inside `to`."""
    part = box.intersect(to)
    return pixels[part.y0 - box.y0 : part.y1 - box.y0, part.x0 - box.x0 : part.x1 - box.x0]


def chunks(box: Box, side: int = 2048) -> list[Box]:
    """The box cut along a tile-aligned grid of `side`, row by row: one op each (C3)."""
    found = []
    for y in range(box.y0 // side * side, box.y1, side):
        for x in range(box.x0 // side * side, box.x1, side):
            part = Box(x, y, x + side, y + side).intersect(box)
            if not part.is_empty:
                found.append(part)
    return found
