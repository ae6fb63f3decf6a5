"""Burning a layer, or a group, into the layer beneath it: composited tile by tile in the pool (C1)."""

from collections.abc import Mapping, Sequence
from functools import partial

import anyio
import msgspec

from nanobana.protocol.canvas import Layer
from nanobana.protocol.errors import NotFound
from nanobana.protocol.geometry import tile_box
from nanobana.protocol.stack import block, seen
from nanobana.raster import coverage
from nanobana.raster.codec import blank_tile, encode_tile
from nanobana.raster.compose import flatten, over_into, touched
from nanobana.raster.pixels import Rgba, TileKey
from nanobana_server.store.ops.landing import missing_became_moved
from nanobana_server.store.ops.laying import AHEAD, BATCH, Laid, put_tiles
from nanobana_server.store.ops.restack import beneath
from nanobana_server.store.store import Store
from nanobana_server.store.tasks import together
from nanobana_server.store.types import TileWrite


async def merged(
    store: Store, canvas: str, layers: Sequence[Layer], layer: Layer, names: Mapping[TileKey, str]
) -> list[TileWrite]:
    """The new tiles of the layer beneath `layer`, stored; covered where something came onto them (C9).

    Args:
        names: of all tiles of the canvas.

    Raises:
        BadInput: ``nothing_below``.
        Moved: a tile's bytes were swept meanwhile.
        StorageFull: the budget is used up.
    """
    below = beneath(layers, layer)
    inside = [msgspec.structs.replace(each, parent="") if each is layer else each for each in block(layers, layer.id)]
    shown = {each.id for each in seen(inside)}
    if below.opacity < 1.0:
        shown.add(below.id)
    places = sorted({(tx, ty) for each, tx, ty in names if each in shown})
    found: dict[int, list[TileWrite]] = {}
    limiter = anyio.Semaphore(AHEAD)

    async def batch(start: int) -> None:
        async with limiter:
            some = places[start : start + BATCH]
            keys = [(each, tx, ty) for each in (*shown, below.id) for tx, ty in some]
            wanted = {key: names[key] for key in keys if key in names}
            by_name = await store.get_tiles(canvas, wanted.values())
            tiles = {key: by_name[name] for key, name in wanted.items()}
            laid = await store.pool.run(_merge_all, below, layer, inside, tiles, some)
            found[start] = await put_tiles(store, canvas, laid, dict(names))

    starts = range(0, len(places), BATCH)
    try:
        await together([partial(batch, start) for start in starts])
    except NotFound as error:
        raise missing_became_moved(error) from error
    return [write for start in starts for write in found[start]]


def _merge_all(
    below: Layer,
    layer: Layer,
    inside: Sequence[Layer],
    tiles: Mapping[TileKey, Rgba],
    places: Sequence[tuple[int, int]],
) -> list[Laid]:
    alone = [msgspec.structs.replace(each, opacity=1.0) if each.id == layer.id else each for each in inside]
    laid = []
    for tx, ty in places:
        key = (below.id, tx, ty)
        upper = flatten(alone, tiles, tile_box(tx, ty))
        base = blank_tile()
        if key in tiles:
            over_into(base, tiles[key], below.opacity)
        over_into(base, upper, layer.opacity, layer.blend)
        cover = None if below.opacity < 1.0 else coverage.pack(touched(upper))
        laid.append(Laid(key, encode_tile(base), base, cover))
    return laid
