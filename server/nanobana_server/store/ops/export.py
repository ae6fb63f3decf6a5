"""Export: the visible canvas as one PNG, flattened and encoded in the pool."""

import numpy as np

from nanobana.protocol.canvas import Manifest
from nanobana.protocol.errors import BadInput, NotFound
from nanobana.protocol.geometry import Box, tile_box
from nanobana.protocol.stack import seen
from nanobana.raster.codec import encode_png
from nanobana.raster.compose import flatten
from nanobana.raster.pixels import Rgba, Tiles
from nanobana_server.store.store import Store


async def export_png(store: Store, canvas: str) -> bytes:
    """The visible picture of the whole canvas, as everybody sees it at one position.

    Raises:
        BadInput: ``no_size`` for a canvas that has none yet.
        NotFound: ``no_canvas``.
    """
    async with store.whole_pictures:
        pixels = await visible_pixels(store, canvas)
        return await store.pool.run(encode_png, pixels)


async def visible_pixels(store: Store, canvas: str) -> Rgba:
    """The flattened canvas, [height, width, 4]; read again from the start where a tile was swept meanwhile (C8)."""
    for _ in range(3):
        try:
            return await flattened(store, canvas, sized(await store.manifest(canvas)))
        except NotFound as error:
            if error.code != "missing_blob":
                raise
    return await flattened(store, canvas, sized(await store.manifest(canvas)))


def sized(manifest: Manifest) -> Manifest:
    """The manifest, if the canvas has a size.

    Raises:
        BadInput: ``no_size``.
    """
    if manifest.canvas.width == 0 or manifest.canvas.height == 0:
        raise BadInput("This canvas has no size yet.", code="no_size")
    return manifest


async def flattened(store: Store, canvas: str, manifest: Manifest) -> Rgba:
    """The visible picture of a canvas as a manifest says, [height, width, 4].

    Raises:
        NotFound: ``missing_blob``: it is older than the sweeper's memory.
    """
    info = manifest.canvas
    shown = {layer.id for layer in seen(manifest.layers)}
    rows: dict[int, dict[tuple[str, int, int], str]] = {}
    for ref in manifest.tiles:
        if ref.layer in shown:
            rows.setdefault(ref.ty, {})[(ref.layer, ref.tx, ref.ty)] = ref.name
    out = np.zeros((info.height, info.width, 4), np.uint8)
    whole = Box(0, 0, info.width, info.height)
    for ty, names in rows.items():
        strip = whole.intersect(Box(0, tile_box(0, ty).y0, info.width, tile_box(0, ty).y1))
        if strip.is_empty:
            continue
        found = await store.get_tiles(canvas, names.values())
        tiles: Tiles = {key: found[name] for key, name in names.items()}
        out[strip.y0 : strip.y1] = await store.pool.run(flatten, manifest.layers, tiles, strip)
    return out
