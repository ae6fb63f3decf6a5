"""Export: the visible canvas, or a box of it, as one PNG, flattened and encoded in the pool."""

import numpy as np

from nanobana.protocol.canvas import Manifest
from nanobana.protocol.errors import BadInput, NotFound
from nanobana.protocol.geometry import Box, tile_box
from nanobana.protocol.stack import seen
from nanobana.raster.codec import encode_png
from nanobana.raster.compose import flatten
from nanobana.raster.pixels import Rgba, Tiles
from nanobana_server.store.store import Store


async def export_png(store: Store, canvas: str, box: Box | None = None) -> bytes:
    """The visible picture of the canvas, as everybody sees it at one position.

    Args:
        box: only this of it, cut to the canvas.

    Raises:
        BadInput: ``no_size`` for a canvas that has none yet, ``outside`` for a box with nothing of the canvas in it.
        NotFound: ``no_canvas``.
    """
    async with store.whole_pictures:
        pixels = await visible_pixels(store, canvas, box)
        return await store.pool.run(encode_png, pixels)


async def visible_pixels(store: Store, canvas: str, box: Box | None = None) -> Rgba:
    """The flattened canvas, or a box of it, [height, width, 4]; read again where a tile was swept meanwhile (C8)."""
    for _ in range(3):
        try:
            return await flattened(store, canvas, sized(await store.manifest(canvas)), box)
        except NotFound as error:
            if error.code != "missing_blob":
                raise
    return await flattened(store, canvas, sized(await store.manifest(canvas)), box)


def sized(manifest: Manifest) -> Manifest:
    """The manifest, if the canvas has a size.

    Raises:
        BadInput: ``no_size``.
    """
    if manifest.canvas.width == 0 or manifest.canvas.height == 0:
        raise BadInput("This canvas has no size yet.", code="no_size")
    return manifest


async def flattened(store: Store, canvas: str, manifest: Manifest, box: Box | None = None) -> Rgba:
    """The visible picture of a canvas, or of a box of it, as a manifest says, [height, width, 4].

    Raises:
        BadInput: ``outside``.
        NotFound: ``missing_blob``: it is older than the sweeper's memory.
    """
    info = manifest.canvas
    shown = {layer.id for layer in seen(manifest.layers)}
    wanted = Box(0, 0, info.width, info.height)
    if box is not None:
        wanted = wanted.intersect(box)
        if wanted.is_empty:
            raise BadInput("This region lies outside the canvas.", code="outside")
    rows: dict[int, dict[tuple[str, int, int], str]] = {}
    for ref in manifest.tiles:
        if ref.layer in shown and not tile_box(ref.tx, ref.ty).intersect(wanted).is_empty:
            rows.setdefault(ref.ty, {})[(ref.layer, ref.tx, ref.ty)] = ref.name
    out = np.zeros((wanted.height, wanted.width, 4), np.uint8)
    for ty, names in rows.items():
        strip = wanted.intersect(Box(wanted.x0, tile_box(0, ty).y0, wanted.x1, tile_box(0, ty).y1))
        found = await store.get_tiles(canvas, names.values())
        tiles: Tiles = {key: found[name] for key, name in names.items()}
        out[strip.y0 - wanted.y0 : strip.y1 - wanted.y0] = await store.pool.run(flatten, manifest.layers, tiles, strip)
    return out
