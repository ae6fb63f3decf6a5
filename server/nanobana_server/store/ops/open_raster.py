"""OpenRaster (.ora, version 0.0.5 of freedesktop.org): a canvas with its layers, for other painting programs."""

import zipfile
from collections.abc import Callable, Mapping
from functools import partial
from typing import BinaryIO

import numpy as np
from PIL import Image

from nanobana.protocol.canvas import Layer, Manifest
from nanobana.protocol.errors import NotFound
from nanobana.protocol.geometry import Box, bounding, tile_box
from nanobana.raster.codec import encode_png
from nanobana.raster.compose import flatten
from nanobana.raster.pixels import Rgba, TileKey
from nanobana_server.store.ops.export import flattened, sized
from nanobana_server.store.ops.open_raster_stack import MIMETYPE, STACK, source_of, write_stack
from nanobana_server.store.ops.zips import writing
from nanobana_server.store.store import Store

THUMBNAIL = 256
"""Longest side of the file's thumbnail, in pixels."""


async def write_open_raster(store: Store, canvas: str, out: BinaryIO) -> None:
    """Write a canvas as it is at one position, each layer cut to the canvas; one layer is in memory at a time.

    Raises:
        BadInput: ``no_size`` for a canvas that has none yet.
        NotFound: ``no_canvas``.
    """
    async with store.whole_pictures:
        for _ in range(3):
            try:
                await _write(store, canvas, out)
                return
            except NotFound as error:
                if error.code != "missing_blob":
                    raise
                out.seek(0)  # a tile was swept meanwhile: read the canvas again (C8)
                out.truncate()
        await _write(store, canvas, out)


async def _write(store: Store, canvas: str, out: BinaryIO) -> None:
    manifest = sized(await store.manifest(canvas))
    boxes = {layer.id: _box(manifest, layer) for layer in manifest.layers if not layer.group}
    async with writing(store.pool, out) as file:
        await store.pool.run(_begin, file, write_stack(manifest.canvas, manifest.layers, boxes))
        for layer, box in boxes.items():
            names = {(ref.layer, ref.tx, ref.ty): ref.name for ref in manifest.tiles if ref.layer == layer}
            found = await store.get_tiles(canvas, names.values())
            tiles = {key: found[name] for key, name in names.items()}
            await store.pool.run(_put, file, source_of(layer), partial(_layer_pixels, layer, tiles, box))
        pixels = await flattened(store, canvas, manifest)
        await store.pool.run(_put, file, "mergedimage.png", lambda: pixels)
        await store.pool.run(_put, file, "Thumbnails/thumbnail.png", partial(_thumbnail, pixels))


def _box(manifest: Manifest, layer: Layer) -> Box:
    """What a layer has inside the canvas; a single pixel for nothing, because a layer must have a picture."""
    whole = Box(0, 0, manifest.canvas.width, manifest.canvas.height)
    tiles = (tile_box(ref.tx, ref.ty).intersect(whole) for ref in manifest.tiles if ref.layer == layer.id)
    box = bounding(tile for tile in tiles if not tile.is_empty)
    return Box(0, 0, 1, 1) if box.is_empty else box


def _begin(file: zipfile.ZipFile, stack: bytes) -> None:
    file.writestr("mimetype", MIMETYPE)  # first and stored: programs know the file by its first bytes
    file.writestr(STACK, stack)


def _put(file: zipfile.ZipFile, name: str, picture: Callable[[], Rgba]) -> None:
    file.writestr(name, encode_png(picture()))


def _layer_pixels(layer: str, tiles: Mapping[TileKey, Rgba], box: Box) -> Rgba:
    return flatten([Layer(id=layer, name="")], tiles, box)


def _thumbnail(pixels: Rgba) -> Rgba:
    image = Image.fromarray(pixels)
    image.thumbnail((THUMBNAIL, THUMBNAIL))
    return np.asarray(image)
