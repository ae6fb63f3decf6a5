"""OpenRaster files come in: layers, groups, modes and opacities become layers of a canvas, as one op (C1, R10)."""

import zipfile
from collections.abc import Mapping
from typing import BinaryIO

import msgspec

from nanobana.protocol.canvas import Layer, OpId
from nanobana.protocol.errors import BadInput
from nanobana.protocol.geometry import Box, bounding
from nanobana.protocol.stack import MAX_DEPTH, around
from nanobana.raster.decode import MAX_PIXELS, decode_image, probe
from nanobana.raster.pixels import Rgba
from nanobana_server.store.ops.imports import Imported, Progress, arrival, has_no_size, placed, store_pixels
from nanobana_server.store.ops.landing import land
from nanobana_server.store.ops.open_raster_stack import STACK, Sheet, Stack, bad, read_stack
from nanobana_server.store.ops.restack import index_of
from nanobana_server.store.ops.zips import BadZip, open_zip, read_part
from nanobana_server.store.store import Store
from nanobana_server.store.types import Committed, TileWrite

STACK_BYTES = 4 << 20
"""Of stack.xml: more is refused before it is unpacked."""

SHEET_BYTES = 256 << 20
"""Of one layer's picture, unpacked."""

ALL_PIXELS = 20 * MAX_PIXELS
"""Of all layers' pictures together: twenty of the largest."""

MAX_NOTES = 12

STEPS = 100
"""A layer is so many steps of the progress, whatever its size."""


async def import_open_raster(
    store: Store,
    canvas: str,
    user: str,
    op: OpId,
    source: BinaryIO,
    *,
    layer: str,
    name: str = "",
    x: int = 0,
    y: int = 0,
    max_pixels: int = MAX_PIXELS,
    progress: Progress | None = None,
) -> Imported:
    """Put the layers of a file above the visible ones, as a group; a canvas without a size becomes what the file is.

    One picture is in memory at a time. Modes, elements and kinds of layers that we do not know are told as notes.

    Args:
        source: the file, from its beginning; it is read in the pool's threads.
        layer: ID of the new group, made by the client; the layers' own are made from it.
        name: of the group.
        x, y: where the file's top left corner goes, in canvas pixels.
        max_pixels: of one layer's picture.

    Returns:
        The group, or the topmost new layer where there is none, and the box of all pictures.

    Raises:
        BadInput: ``bad_open_raster`` with what is wrong; ``too_many_layers``, ``too_deep``, ``outside``; the codes of
            `decode_image` for the pictures in it.
        Conflict: ``layer_exists``.
        StorageFull: the budget is used up.
    """
    try:
        with await store.pool.run(open_zip, source) as file:
            stack = await store.pool.run(_stack, file, layer, max_pixels)
            boxes, writes = await _store_sheets(store, canvas, file, stack, (x, y), max_pixels, progress)
    except BadZip as error:
        raise bad(str(error)) from error

    async def attempt() -> Committed:
        view = await store.look(canvas)
        new = stack.layers if has_no_size(view) else _grouped(stack.layers, Layer(id=layer, name=name, group=True))
        return await store.commit(canvas, arrival(view, user, op, new, writes, stack.width, stack.height))

    committed = await land(store, canvas, op, attempt)
    there = index_of((await store.look(canvas)).layers, layer) is not None
    return Imported(
        seq=committed.seq,
        layer=layer if there or not stack.layers else stack.layers[-1].id,
        box=bounding(boxes.values()),
        notes=_short(stack.notes),
    )


def _grouped(layers: list[Layer], group: Layer) -> list[Layer]:
    """The same layers in a group of their own. Raises BadInput ``too_deep``."""
    inside = [layer if layer.parent else msgspec.structs.replace(layer, parent=group.id) for layer in layers]
    new = [*inside, group]
    if any(len(around(new, layer.id)) > MAX_DEPTH for layer in inside):
        raise BadInput(f"Groups are nested at most {MAX_DEPTH} deep.", code="too_deep")
    return new


async def _store_sheets(
    store: Store,
    canvas: str,
    file: zipfile.ZipFile,
    stack: Stack,
    at: tuple[int, int],
    max_pixels: int,
    progress: Progress | None,
) -> tuple[Mapping[str, Box], list[TileWrite]]:
    """The tiles of every picture as blobs, nothing committed yet."""
    boxes: dict[str, Box] = {}
    writes: list[TileWrite] = []
    for number, (layer, sheet) in enumerate(stack.sheets.items()):
        async with store.whole_pictures:
            pixels = await store.pool.run(_pixels, file, sheet, max_pixels)
            boxes[layer] = box = placed(pixels, at[0] + sheet.x, at[1] + sheet.y)
            told = None if progress is None else _part(progress, number, len(stack.sheets))
            writes += await store_pixels(store, canvas, layer, pixels, box, told)
    return boxes, writes


def _part(progress: Progress, number: int, of: int) -> Progress:
    """The progress of one of several pictures, as a part of the whole."""

    async def tell(done: int, tiles: int) -> None:
        await progress(number * STEPS + STEPS * done // max(1, tiles), of * STEPS)

    return tell


def _stack(file: zipfile.ZipFile, name: str, max_pixels: int) -> Stack:
    """What the file holds; every picture of it is looked at by its header, before anything is decoded or stored."""
    stack = read_stack(read_part(file, STACK, STACK_BYTES), name)
    pixels = 0
    for sheet in stack.sheets.values():
        data = read_part(file, sheet.source, SHEET_BYTES)
        _format, width, height = probe(data, formats=("PNG",), max_pixels=max_pixels)
        pixels += width * height
        if pixels > ALL_PIXELS:
            raise bad(f"its layers have more than {ALL_PIXELS // 1_000_000} megapixels together")
    return stack


def _pixels(file: zipfile.ZipFile, sheet: Sheet, max_pixels: int) -> Rgba:
    return decode_image(read_part(file, sheet.source, SHEET_BYTES), formats=("PNG",), max_pixels=max_pixels)


def _short(notes: list[str]) -> list[str]:
    more = len(notes) - MAX_NOTES
    return notes if more <= 0 else [*notes[:MAX_NOTES], f"And {more} more like these."]
