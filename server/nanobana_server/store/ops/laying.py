"""Laying a patch on a layer: composited in the pool, committed by tile name, large ones as several ops (C3, C5)."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import anyio

from nanobana.keyspace.snapshot import tile_field
from nanobana.protocol.canvas import OpId
from nanobana.protocol.errors import NotFound
from nanobana.protocol.geometry import Box, tiles_of
from nanobana.raster import coverage, patches
from nanobana.raster.codec import blob_name, encode_tile
from nanobana.raster.pixels import Covered, Rgba, TileKey
from nanobana_server.store.ops.landing import PARTS, missing_became_moved
from nanobana_server.store.store import Store
from nanobana_server.store.tasks import together
from nanobana_server.store.types import TileWrite, View

BATCH = 4
"""Tiles per trip to the pool, about 20 ms."""

OP_SIDE = 2048
"""A larger patch is committed as several ops of at most this side (C3)."""

AHEAD = 2
"""Batches under way per op: bounds the memory of a large one."""


@dataclass(frozen=True, slots=True)
class Laid:
    """What became of one tile: bytes and pixels of the new one (None: transparent now), and where it was written."""

    key: TileKey
    data: bytes | None
    pixels: Rgba
    cover: bytes | None
    """Packed coverage; None for the whole tile."""


async def lay_patch(
    store: Store,
    canvas: str,
    view: View,
    layer: str,
    patch: Rgba,
    box: Box,
    mode: patches.PatchMode = "over",
    *,
    over_budget: bool = False,
) -> list[TileWrite]:
    """Composite a patch onto a layer as `view` shows it, and store the new tiles' bytes.

    Args:
        view: must hold the names of all tiles of the box in that layer.
        over_budget: go on though the canvas's budget is used up: the rest of what was begun within it.

    Returns:
        The tile writes to commit; they name what was read (C5).

    Raises:
        Moved: a tile's bytes were swept meanwhile.
        StorageFull: the budget is used up.
    """
    parts = [((layer, tx, ty), part) for tx, ty, part in patches.split(patch, box)]
    names = {key: view.names.get(key, "") for key, _part in parts}
    found: dict[int, list[TileWrite]] = {}
    limiter = anyio.Semaphore(AHEAD)

    async def batch(start: int) -> None:
        async with limiter:
            some = parts[start : start + BATCH]
            tiles = await store.get_tiles(canvas, [names[key] for key, _part in some])
            laid = await store.pool.run(_lay_all, some, [tiles.get(names[key]) for key, _part in some], mode)
            found[start] = await put_tiles(store, canvas, laid, names, over_budget=over_budget)

    starts = range(0, len(parts), BATCH)
    try:
        if len(starts) == 1:
            await batch(0)
        else:
            await together([partial(batch, start) for start in starts])
    except NotFound as error:
        raise missing_became_moved(error) from error
    return [write for start in starts for write in found[start]]


async def put_tiles(
    store: Store, canvas: str, laid: Sequence[Laid], names: dict[TileKey, str], *, over_budget: bool = False
) -> list[TileWrite]:
    """Store new tiles and coverage masks; returns the writes."""
    blobs = [data for item in laid for data in (item.data, item.cover) if data is not None]
    stored = iter(await store.put_blobs(canvas, blobs, over_budget=over_budget))
    writes = []
    for item in laid:
        after = "" if item.data is None else next(stored)
        cover = coverage.WHOLE if item.cover is None else next(stored)
        if after:
            store.cache.put(after, item.pixels)
        before = names.get(item.key, "")
        if not before and not after:
            continue
        writes.append(TileWrite(key=item.key, before=before, after=after, coverage=cover))
    return writes


def fields_of(writes: Iterable[TileWrite]) -> list[str]:
    """The tiles that an op writes, as an undo record names them."""
    return [tile_field(*write.key) for write in writes]


def stayed(keys: Iterable[TileKey], names: Mapping[TileKey, str], writes: Iterable[TileWrite]) -> list[TileWrite]:
    """Of the tiles that an op looked at those that it leaves as they are: it is another op if they changed (C5)."""
    written = {write.key for write in writes}
    same = [(key, names.get(key, "")) for key in keys if key not in written]
    return [TileWrite(key=key, before=name, after=name) for key, name in same]


def keys_of(layer: str, box: Box) -> list[TileKey]:
    """The tiles of a layer that a box touches."""
    return [(layer, tx, ty) for tx, ty in tiles_of(box)]


def op_parts(op: OpId, box: Box) -> tuple[list[tuple[OpId, Box]], str]:
    """The ops that a patch of this box is committed as, the client's own op last, and their undo group.

    The parts before it have op IDs made from the client's, so that a repeated attempt finds them committed.
    """
    boxes = patches.chunks(box, OP_SIDE) if max(box.width, box.height) > OP_SIDE else [box]
    if len(boxes) == 1:
        return [(op, box)], ""
    group = f"{op.client}-{op.n}"
    client = f"{PARTS}{blob_name(group.encode())}"
    parts = [(OpId(client, index + 1), part) for index, part in enumerate(boxes[:-1])]
    return [*parts, (op, boxes[-1])], group


def _lay_all(
    parts: Sequence[tuple[TileKey, Rgba]], tiles: Sequence[Rgba | None], mode: patches.PatchMode
) -> list[Laid]:
    laid = []
    for (key, part), tile in zip(parts, tiles, strict=True):
        pixels, covered = patches.lay(tile, part, mode)
        laid.append(Laid(key, encode_tile(pixels), pixels, _cover(covered)))
    return laid


def _cover(covered: Covered) -> bytes | None:
    return None if covered.all() else coverage.pack(covered)
