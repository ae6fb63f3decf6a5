"""Import: a picture of any allowed format becomes a new layer, its tiles encoded in the pool, committed as one op."""

import math
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

import anyio
import msgspec

from nanobana.protocol.canvas import CanvasInfo, Layer, OpId
from nanobana.protocol.errors import BadInput, Conflict
from nanobana.protocol.geometry import MAX_MIP, MAX_SIDE, Box, mip_key
from nanobana.protocol.stack import MAX_LAYERS
from nanobana.raster import coverage, mips, patches
from nanobana.raster.codec import encode_tile
from nanobana.raster.decode import decode_image
from nanobana.raster.pixels import Rgba
from nanobana_server.store.ops.landing import land
from nanobana_server.store.ops.layers import top_visible
from nanobana_server.store.ops.laying import fields_of
from nanobana_server.store.ops.restack import index_of
from nanobana_server.store.store import Store
from nanobana_server.store.tasks import together
from nanobana_server.store.types import Commit, Committed, LayersUndo, Record, TileWrite, UndoWrite, View

BATCH = 8
"""Tiles per trip to the pool and per write, about 1 MiB of grainy photograph."""

AHEAD = 3
"""Batches under way at once."""

Progress = Callable[[int, int], Awaitable[None]]


class _Teller:
    """Counts tiles, those of the mip levels too, and passes it on."""

    def __init__(self, progress: Progress | None, of: int) -> None:
        self._progress = progress
        self._of = of
        self._done = 0

    async def add(self, tiles: int) -> None:
        self._done += tiles
        if self._progress is not None:
            await self._progress(self._done, self._of)


class Imported(msgspec.Struct, frozen=True, kw_only=True):
    """The new layer and where the picture lies on the canvas."""

    seq: int
    layer: str
    box: Box
    notes: list[str] = []
    """What is not here as it is in the file, a sentence each."""


async def import_image(
    store: Store,
    canvas: str,
    user: str,
    op: OpId,
    data: bytes,
    *,
    layer: str,
    name: str = "",
    x: int = 0,
    y: int = 0,
    progress: Progress | None = None,
) -> Imported:
    """Put a picture on a new layer above the visible ones; a canvas without a size takes the picture's.

    Args:
        data: JPEG, PNG or WebP; turned upright by its EXIF orientation.
        layer: ID of the new layer, made by the client.
        x, y: its top left corner in canvas pixels.
        progress: is told (tiles done, tiles in all), mip levels included, some ten times per megapixel at most.

    Raises:
        BadInput: the codes of `decode_image`, ``outside``, ``too_many_layers``.
        Conflict: ``layer_exists``.
        StorageFull: the budget is used up.
    """
    async with store.whole_pictures:
        pixels = await store.pool.run(decode_image, data)
        box = placed(pixels, x, y)
        writes = await store_pixels(store, canvas, layer, pixels, box, progress)

    async def attempt() -> Committed:
        view = await store.look(canvas)
        new = [Layer(id=layer, name=name)]
        return await store.commit(canvas, arrival(view, user, op, new, writes, box.width, box.height))

    committed = await land(store, canvas, op, attempt)
    return Imported(seq=committed.seq, layer=layer, box=box)


def arrival(
    view: View, user: str, op: OpId, new: Sequence[Layer], writes: list[TileWrite], width: int, height: int
) -> Commit:
    """The op that puts new layers above all that shows.

    Args:
        new: bottom to top, each group right above what is in it.
        width, height: what a canvas without a size becomes.

    Raises:
        BadInput: ``too_many_layers``.
        Conflict: ``layer_exists``.
    """
    if any(index_of(view.layers, layer.id) is not None for layer in new):
        raise Conflict("There is such a layer already.", code="layer_exists")
    if len(view.layers) + len(new) > MAX_LAYERS:
        raise BadInput(f"A canvas has at most {MAX_LAYERS} layers.", code="too_many_layers")
    index = top_visible(view)
    layers = [*view.layers[:index], *new, *view.layers[index:]]
    sized = msgspec.structs.replace(view.canvas, width=width, height=height) if has_no_size(view) else None
    return Commit(
        op=op,
        user=user,
        kind="import",
        tiles=writes,
        layers=layers,
        layers_version=view.layers_version,
        canvas=sized,
        undo=undo_of(op, user, view, layers, writes, sized),
    )


def undo_of(
    op: OpId, user: str, view: View, layers: Sequence[Layer], writes: Sequence[TileWrite], sized: CanvasInfo | None
) -> UndoWrite:
    """How what came in is taken back: by itself, or with the move that placed it (C14).

    Args:
        view: before it came.
        layers: the list with it.
        sized: the canvas, where it got its size by it.
    """
    known = {layer.id for layer in view.layers}
    record = Record(
        user=user,
        kind="import",
        tiles=fields_of(writes),
        layers=[
            LayersUndo(what="add", after=layer, index_after=index)
            for index, layer in enumerate(layers)
            if layer.id not in known
        ],
        canvas_before=view.canvas if sized is not None else None,
        canvas_after=sized,
    )
    return UndoWrite(record=record, group=f"{op.client}-{op.n}")


def has_no_size(view: View) -> bool:
    """Whether nothing gave the canvas a size yet."""
    return view.canvas.width == 0 or view.canvas.height == 0


def placed(pixels: Rgba, x: int, y: int) -> Box:
    """Where a picture lies. Raises BadInput ``outside``."""
    box = Box(0, 0, pixels.shape[1], pixels.shape[0]).shift(x, y)
    if max(abs(side) for side in (box.x0, box.y0, box.x1, box.y1)) > 2 * MAX_SIDE:
        raise BadInput("The picture lies too far outside the canvas.", code="outside")
    return box


async def store_pixels(
    store: Store, canvas: str, layer: str, pixels: Rgba, box: Box, progress: Progress | None
) -> list[TileWrite]:
    """Tiles and mip levels of a picture as blobs, nothing committed yet."""
    parts = list(patches.split(pixels, box))
    levels = _levels([(tx, ty) for tx, ty, _tile in parts])
    teller = _Teller(progress, len(parts) + sum(map(len, levels)))
    writes = await _store_tiles(store, canvas, layer, parts, teller)
    names = {(write.key[1], write.key[2]): write.after for write in writes}
    below = {(tx, ty): tile for tx, ty, tile in parts}
    for level, places in enumerate(levels, start=1):
        below = await _store_level(store, canvas, level, places, below, names)
        await teller.add(len(places))
    return writes


async def _store_tiles(
    store: Store, canvas: str, layer: str, parts: Sequence[tuple[int, int, Rgba]], teller: _Teller
) -> list[TileWrite]:
    writes: list[TileWrite] = []
    limiter = anyio.Semaphore(AHEAD)

    async def batch(some: Sequence[tuple[int, int, Rgba]]) -> None:
        async with limiter:
            encoded = await store.pool.run(_encode_all, [tile for _tx, _ty, tile in some])
            names = iter(await store.put_blobs(canvas, [data for data in encoded if data is not None]))
        for (tx, ty, _tile), data in zip(some, encoded, strict=True):
            if data is not None:
                writes.append(TileWrite(key=(layer, tx, ty), before="", after=next(names), coverage=coverage.WHOLE))
        await teller.add(len(some))

    await together([partial(batch, parts[start : start + BATCH]) for start in range(0, len(parts), BATCH)])
    return writes


def _levels(places: Sequence[tuple[int, int]]) -> list[list[tuple[int, int]]]:
    """The mip tiles over these base tiles, level 1 first.

    They are made with the import, while the pixels are at hand, so that the first joiner need not wait for them (C8).
    """
    longest = max((max(tx, ty) for tx, ty in places), default=0) + 1
    levels: list[list[tuple[int, int]]] = []
    for _ in range(min(MAX_MIP, math.ceil(math.log2(max(1, longest))))):
        places = sorted({(tx // 2, ty // 2) for tx, ty in places})
        levels.append(list(places))
    return levels


async def _store_level(
    store: Store,
    canvas: str,
    level: int,
    places: Sequence[tuple[int, int]],
    below: dict[tuple[int, int], Rgba],
    names: dict[tuple[int, int], str],
) -> dict[tuple[int, int], Rgba]:
    side = 1 << level
    made: dict[tuple[int, int], Rgba] = {}

    async def one(tx: int, ty: int) -> None:
        quarters = [below.get((tx * 2 + dx, ty * 2 + dy)) for dy in (0, 1) for dx in (0, 1)]
        reduced = await store.pool.run(mips.reduce_four, quarters)
        if reduced is not None:
            made[tx, ty] = reduced
            base = [names.get((tx * side + x, ty * side + y), "") for y in range(side) for x in range(side)]
            await store.put_mip(canvas, mip_key(base), reduced)

    for start in range(0, len(places), AHEAD):
        await together([partial(one, tx, ty) for tx, ty in places[start : start + AHEAD]])
    return made


def _encode_all(tiles: Sequence[Rgba]) -> list[bytes | None]:
    return [encode_tile(tile) for tile in tiles]
