"""Moving, scaling, turning and flipping the pixels of a layer, all of them or those under a mask, as one op (C14)."""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from functools import partial
from math import isfinite

import anyio
import numpy as np

from nanobana.protocol.errors import BadInput, NotFound
from nanobana.protocol.geometry import TILE, Affine, Box, bounding, tile_box, tiles_of
from nanobana.protocol.messages import Transform
from nanobana.protocol.replica import names_of
from nanobana.raster import affine, coverage, patches
from nanobana.raster.codec import blank_tile, encode_tile
from nanobana.raster.compose import over_into
from nanobana.raster.decode import decode_mask
from nanobana.raster.mips import halve
from nanobana.raster.pixels import Gray, Rgba, TileKey
from nanobana_server.store.ops.landing import land, missing_became_moved
from nanobana_server.store.ops.laying import Laid, fields_of, put_tiles, stayed
from nanobana_server.store.store import Store
from nanobana_server.store.tasks import together
from nanobana_server.store.types import Commit, Committed, Record, TileWrite, UndoWrite

OUTSIDE = 2048
"""What comes to lie farther outside the canvas is let go."""

SMALLEST, LARGEST = 1 / 256, 256.0
"""How far a direction may be scaled."""

AT_ONCE = 16
"""Source tiles in one trip to the pool, about 20 ms."""

AHEAD = 3
"""Tiles under way at once."""

Place = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Lift:
    """What is moved, and how."""

    matrix: Affine
    mask: Gray | None
    box: Box
    """Of the mask."""

    def cut(self, place: Place, tile: Rgba) -> tuple[Rgba, Rgba]:
        """What goes from a tile, and what stays of it."""
        if self.mask is None:
            return tile, blank_tile()
        frame = tile_box(*place)
        part = frame.intersect(self.box)
        weight = np.zeros((TILE, TILE), np.uint8)
        weight[part.y0 - frame.y0 : part.y1 - frame.y0, part.x0 - frame.x0 : part.x1 - frame.x0] = self.mask[
            part.y0 - self.box.y0 : part.y1 - self.box.y0, part.x0 - self.box.x0 : part.x1 - self.box.x0
        ]
        goes, stays = tile.copy(), tile.copy()
        whole = tile[..., 3].astype(np.uint16)
        goes[..., 3] = (whole * weight + 127) // 255
        stays[..., 3] = whole - goes[..., 3]
        goes[goes[..., 3] == 0] = 0
        stays[(stays[..., 3] == 0) & (weight > 0)] = 0
        return goes, stays

    def sources(self, names: Mapping[Place, str]) -> set[Place]:
        """The tiles that something is taken from."""
        if self.mask is None:
            return set(names)
        return {place for place in tiles_of(self.box) if place in names}


async def transform(store: Store, canvas: str, user: str, message: Transform) -> Committed:
    """Cut pixels out of a layer and put them down elsewhere in it, in one op that is undone as one, or together with
    the op that brought them in.

    What others paint in the layer meanwhile is taken along where they were first, and lies on top where they were
    later (C5).

    Raises:
        BadInput: ``bad_transform``, ``nothing_to_move``, the codes of `decode_mask`.
        LayerGone, LayerLocked, NotFound, StorageFull.
    """
    matrix = _checked(message.matrix)
    mask, box = await _mask(store, canvas, message)
    lift = Lift(matrix, mask, box)
    group = "" if message.group is None else f"{message.op.client}-{message.group}"

    async def attempt() -> Committed:
        places = await _places(store, canvas, message.layer, lift)
        keys = [(message.layer, *place) for place in sorted({*places, *tiles_of(lift.box)})]  # or is new there
        async with store.turns.on(canvas, keys):
            view = await store.look(canvas, keys)
            view.paintable(message.layer)
            names = {key[1:]: name for key, name in view.names.items() if name}
            tiles = await _written(store, canvas, message.layer, lift, places, names)
            if not tiles:
                raise BadInput("There is nothing there to move.", code="nothing_to_move")
            record = Record(user=user, kind="transform", tiles=fields_of(tiles))
            commit = Commit(
                op=message.op,
                user=user,
                kind="transform",
                tiles=tiles,
                held=stayed(keys, view.names, tiles),
                whole_layers=(message.layer,) if mask is None else (),
                need_layers=(message.layer,),
                open_layers=(message.layer,),
                undo=UndoWrite(record=record, group=group),
            )
            return await store.commit(canvas, commit)

    return await land(store, canvas, message.op, attempt)


def _checked(matrix: Affine) -> Affine:
    sizes = affine.scales(matrix) if all(isfinite(n) and abs(n) < 1e6 for n in matrix) else (0.0, 0.0)
    if not all(SMALLEST <= size <= LARGEST for size in sizes):
        raise BadInput("A picture is made 256 times smaller or larger at most.", code="bad_transform")
    if abs(affine.determinant(matrix)) < 0.05 * sizes[0] * sizes[1]:
        raise BadInput("This would press the picture flat.", code="bad_transform")
    return matrix


async def _mask(store: Store, canvas: str, message: Transform) -> tuple[Gray | None, Box]:
    if message.box is None:
        return None, Box(0, 0, 0, 0)
    if (message.mask_png is None) == (message.mask_blob is None) or message.box.is_empty:
        raise BadInput("A mask comes either inline or as a blob, with its box.", code="bad_mask")
    data = message.mask_png if message.mask_png is not None else await store.get_blob(canvas, message.mask_blob or "")
    return await store.pool.run(decode_mask, data, message.box), message.box


async def _places(store: Store, canvas: str, layer: str, lift: Lift) -> list[Place]:
    """The tiles that may change: those that something is taken from, and those where it comes to lie."""
    manifest = await store.manifest(canvas)
    names = {key[1:]: name for key, name in names_of(manifest.tiles).items() if key[0] == layer}
    sources = lift.sources(names)
    area = bounding(tile_box(*place) for place in sources)
    area = area if lift.mask is None else area.intersect(lift.box)
    size = manifest.canvas
    target = affine.reach(lift.matrix, area).intersect(Box(0, 0, size.width, size.height).grow(OUTSIDE))
    aims = {
        place for place in tiles_of(target)
        if not sources.isdisjoint(tiles_of(affine.source_of(lift.matrix, tile_box(*place)).intersect(area)))
    }  # fmt: skip
    return sorted(sources | aims)


async def _written(
    store: Store, canvas: str, layer: str, lift: Lift, places: Sequence[Place], names: Mapping[Place, str]
) -> list[TileWrite]:
    """What becomes of these tiles, stored; those that stay as they were left out."""
    sources = lift.sources(names)
    found: dict[Place, list[TileWrite]] = {}
    limiter = anyio.Semaphore(AHEAD)

    async def one(place: Place) -> None:
        async with limiter:
            found[place] = await _made(store, canvas, layer, lift, place, names, sources)

    try:
        await together([partial(one, place) for place in places])
    except NotFound as error:
        raise missing_became_moved(error) from error
    return [write for place in places for write in found[place]]


async def _made(
    store: Store,
    canvas: str,
    layer: str,
    lift: Lift,
    place: Place,
    names: Mapping[Place, str],
    sources: Set[Place],
) -> list[TileWrite]:
    """One tile after the move, stored; nothing where it stays as it was."""
    level = affine.halvings(lift.matrix)
    wanted = affine.source_of(lift.matrix, tile_box(*place))
    area = bounding(tile_box(*each) for each in sources)
    needed = [each for each in tiles_of(wanted.intersect(area)) if each in sources]
    found: dict[Place, Rgba] = {}
    for start in range(0, len(needed), AT_ONCE):
        some = needed[start : start + AT_ONCE]
        tiles = await store.get_tiles(canvas, [names[each] for each in some])
        found |= await store.pool.run(_taken, lift, {each: tiles[names[each]] for each in some}, level)
    name = names.get(place, "")
    own = (await store.get_tiles(canvas, [name])).get(name)
    key = (layer, *place)
    laid = await store.pool.run(_laid, lift, key, own, found, level, place in sources)
    return [] if laid is None else await put_tiles(store, canvas, [laid], {key: name})


def _taken(lift: Lift, tiles: Mapping[Place, Rgba], level: int) -> dict[Place, Rgba]:
    """What goes from each tile, halved so often."""
    found = {}
    for place, tile in tiles.items():
        part = lift.cut(place, tile)[0]
        for _ in range(level):
            part = halve(part)
        found[place] = part
    return found


def _laid(
    lift: Lift, key: TileKey, own: Rgba | None, found: Mapping[Place, Rgba], level: int, is_source: bool
) -> Laid | None:
    """What stays of a tile, with what comes to lie on it."""
    before = blank_tile() if own is None else own
    goes, after = lift.cut(key[1:], before) if is_source else (None, before.copy())
    came = _came(lift, tile_box(*key[1:]), found, level)
    over_into(after, came)
    covered = came[..., 3] > 0
    if goes is not None:
        covered |= goes[..., 3] > 0
    if not covered.any() or bool((after == before).all()):
        return None
    return Laid(key, encode_tile(after), after, None if covered.all() else coverage.pack(covered))


def _came(lift: Lift, box: Box, found: Mapping[Place, Rgba], level: int) -> Rgba:
    """What comes to lie in a box."""
    if not found:
        return np.zeros((box.height, box.width, 4), np.uint8)
    step = 1 << level
    a, b, c, d, e, f = lift.matrix
    matrix = (a * step, b * step, c * step, d * step, e, f)
    side = TILE // step
    frames = {
        place: Box(place[0] * side, place[1] * side, (place[0] + 1) * side, (place[1] + 1) * side) for place in found
    }
    frame = affine.source_of(matrix, box).intersect(bounding(frames.values()).grow(side))
    window = np.zeros((frame.height, frame.width, 4), np.uint8)
    for place, part in found.items():
        both = frames[place].intersect(frame)
        if not both.is_empty:
            to = (slice(both.y0 - frame.y0, both.y1 - frame.y0), slice(both.x0 - frame.x0, both.x1 - frame.x0))
            window[to] = patches.crop(part, frames[place], both)
    return affine.drawn(window, frame, matrix, box)
