"""Bringing an earlier canvas back, all of it or one region, as a new op that can be undone (C9, C13)."""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import numpy as np

from nanobana.protocol.canvas import Layer
from nanobana.protocol.errors import BadInput, NotFound
from nanobana.protocol.geometry import Box, tile_box
from nanobana.protocol.messages import Restore
from nanobana.protocol.replica import Replica, names_of
from nanobana.raster import coverage
from nanobana.raster.codec import blank_tile, encode_tile
from nanobana.raster.pixels import Rgba, TileKey
from nanobana_server.store.blobs import MissingBlobs
from nanobana_server.store.ops.landing import land, missing_became_moved
from nanobana_server.store.ops.laying import Laid, fields_of, keys_of, put_tiles, stayed
from nanobana_server.store.ops.restack import index_of
from nanobana_server.store.release import BATCH
from nanobana_server.store.store import Store
from nanobana_server.store.types import Commit, Committed, LayersUndo, Moved, Record, TileWrite, UndoWrite, View

Names = dict[TileKey, str]


async def restore(store: Store, canvas: str, user: str, message: Restore) -> Committed:
    """Make the canvas what it was right after a change; where it races with others, the later op wins (C5).

    The whole canvas: layers, pixels and size, not the title. A region: the pixels of every layer in it; layers that
    are gone come back with that region, those that are newer are empty there. Locks do not hold it back.

    Raises:
        NotFound: ``no_moment``; ``missing_blob`` where pixels of that time are lost.
        BadInput: ``nothing_changed``; ``outside`` for a region that misses the canvas.
    """

    async def attempt() -> Committed:
        past = await store.state_at(canvas, message.seq)
        now = await _now(store, canvas)
        if message.box is None:
            commit = _whole(message, user, now, past)
        else:
            commit = await _region(store, canvas, message, message.box, user, now, past)
        if not commit.tiles and commit.layers is None and commit.canvas is None:
            raise BadInput("There is nothing to bring back: it is like that now.", code="nothing_changed")
        try:
            return await store.commit(canvas, commit)
        except MissingBlobs as gone:
            await _from_cellar(store, canvas, gone.names)
            raise Moved("tiles") from gone

    return await land(store, canvas, message.op, attempt)


@dataclass(frozen=True, slots=True)
class _Now:
    view: View
    names: Names


async def _now(store: Store, canvas: str) -> _Now:
    """Layers, their version and every tile's name at one position."""
    while True:
        view, manifest = await store.look(canvas), await store.manifest(canvas)
        if manifest.position.seq == view.seq:
            return _Now(view, names_of(manifest.tiles))


def _whole(message: Restore, user: str, now: _Now, past: Replica) -> Commit:
    then = past.tiles
    tiles = [_renamed(key, now.names, then) for key in _differing(now.names, then)]
    layers, changes = _turned_into(now.view.layers, past.layers)
    kept = {layer.id for layer in layers}
    before = now.view.canvas
    after = msgspec.structs.replace(before, width=past.info.width, height=past.info.height)
    resized = after != before and after.width > 0
    record = Record(
        user=user,
        kind="restore",
        tiles=fields_of(tiles),
        layers=changes,
        canvas_before=before if resized else None,
        canvas_after=after if resized else None,
    )
    return Commit(
        op=message.op,
        user=user,
        kind="restore",
        tiles=tiles,
        held=stayed(_places(now.view.layers, Box(0, 0, before.width, before.height)), now.names, tiles),
        layers=layers if changes else None,
        layers_version=now.view.layers_version,
        drop_layers=tuple(layer.id for layer in now.view.layers if layer.id not in kept),
        canvas=after if resized else None,
        undo=UndoWrite(record=record),
        restores=message.seq,
    )


def _places(layers: Sequence[Layer], box: Box) -> list[TileKey]:
    """Every tile of a box in every layer, there or not."""
    return [key for layer in layers if not layer.group for key in keys_of(layer.id, box)]


async def _region(
    store: Store, canvas: str, message: Restore, region: Box, user: str, now: _Now, past: Replica
) -> Commit:
    box = region.intersect(Box(0, 0, now.view.canvas.width, now.view.canvas.height))
    if box.is_empty:
        raise BadInput("This region lies outside the canvas.", code="outside")
    then = past.tiles
    touched = [key for key in _differing(now.names, then) if not tile_box(*key[1:]).intersect(box).is_empty]
    tiles = [_renamed(key, now.names, then) for key in touched if box.contains(tile_box(*key[1:]))]
    edges = [key for key in touched if not box.contains(tile_box(*key[1:]))]
    for start in range(0, len(edges), BATCH):
        tiles += await _mixed(store, canvas, edges[start : start + BATCH], box, now.names, then)
    layers, changes = _with_back(now.view.layers, past.layers, {write.key[0] for write in tiles if write.after})
    return Commit(
        op=message.op,
        user=user,
        kind="restore",
        tiles=tiles,
        held=stayed(_places(now.view.layers, box), now.names, tiles),
        layers=layers if changes else None,
        layers_version=now.view.layers_version,
        undo=UndoWrite(record=Record(user=user, kind="restore", tiles=fields_of(tiles), layers=changes)),
        restores=message.seq,
    )


async def _mixed(
    store: Store, canvas: str, keys: Sequence[TileKey], box: Box, now: Names, then: Names
) -> list[TileWrite]:
    """Tiles of which the region covers a part: today's, with that part of then's."""
    try:
        pixels = await store.get_tiles(canvas, [names.get(key, "") for key in keys for names in (now, then)])
    except MissingBlobs as gone:
        raise (missing_became_moved(gone) if set(gone.names) <= set(now.values()) else _lost(gone.names)) from gone

    def cut() -> list[Laid]:
        return [_laid(key, pixels.get(now.get(key, "")), pixels.get(then.get(key, "")), box) for key in keys]

    made = await put_tiles(store, canvas, await store.pool.run(cut), now)
    return [write for write in made if write.before != write.after]


def _laid(key: TileKey, now: Rgba | None, then: Rgba | None, box: Box) -> Laid:
    frame = tile_box(*key[1:])
    part = frame.intersect(box)
    where = (slice(part.y0 - frame.y0, part.y1 - frame.y0), slice(part.x0 - frame.x0, part.x1 - frame.x0))
    made = blank_tile() if now is None else now.copy()
    made[where] = 0 if then is None else then[where]
    covered = np.zeros(made.shape[:2], np.bool_)
    covered[where] = True
    return Laid(key, encode_tile(made), made, coverage.pack(covered))


async def _from_cellar(store: Store, canvas: str, names: Sequence[str]) -> None:
    """Bring bytes back that only history named, so that an op may name them again."""
    for start in range(0, len(names), BATCH):
        found = await store.get_blobs(canvas, names[start : start + BATCH])
        if None in found:
            raise _lost(names)
        await store.put_blobs(canvas, [data for data in found if data is not None])


def _lost(names: Sequence[str]) -> NotFound:
    text = f"{len(names)} pieces of that time's picture are kept no longer; nothing was changed."
    return NotFound(text, code="missing_blob")


def _turned_into(now: Sequence[Layer], then: Sequence[Layer]) -> tuple[list[Layer], list[LayersUndo]]:
    """The list `then`, and the steps that lead there from `now`."""
    new, steps = list(now), []
    for index, layer in reversed(list(enumerate(now))):
        if index_of(then, layer.id) is None:
            del new[index]
            steps.append(LayersUndo(what="delete", before=layer, index_before=index))
    for index, layer in enumerate(then):
        at = index_of(new, layer.id)
        if at is None:
            new.insert(index, layer)
            steps.append(LayersUndo(what="add", after=layer, index_after=index))
            continue
        if at != index:
            new.insert(index, new.pop(at))
            moved = LayersUndo(
                what="move", before=new[index], after=new[index], index_before=at, index_after=index, alone=True
            )
            steps.append(moved)
        if new[index] != layer:
            steps.append(LayersUndo(what="set", before=new[index], after=layer))
            new[index] = layer
    return new, steps


def _with_back(now: Sequence[Layer], then: Sequence[Layer], wanted: set[str]) -> tuple[list[Layer], list[LayersUndo]]:
    """The list `now` with those wanted layers of `then` that are gone, each above the one that it was above."""
    new, steps = list(now), []
    for place, layer in enumerate(then):
        if layer.id not in wanted or index_of(new, layer.id) is not None:
            continue
        below = (index_of(new, lower.id) for lower in reversed(then[:place]))
        index = next((at + 1 for at in below if at is not None), 0)
        new.insert(index, layer)
        steps.append(LayersUndo(what="add", after=layer, index_after=index))
    return new, steps


def _differing(now: Names, then: Names) -> list[TileKey]:
    return sorted(key for key in now.keys() | then.keys() if now.get(key, "") != then.get(key, ""))


def _renamed(key: TileKey, now: Names, then: Names) -> TileWrite:
    return TileWrite(key=key, before=now.get(key, ""), after=then.get(key, ""), coverage=coverage.WHOLE)
