"""Undo and redo: each person's own work, as new ops, over what others did since (C9)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from nanobana.keyspace.keys import CanvasKeys
from nanobana.protocol.canvas import CanvasInfo, Job, Layer, OpId
from nanobana.protocol.errors import NotAllowed, NotFound
from nanobana.raster.codec import encode_tile
from nanobana.raster.pixels import Rgba, TileKey
from nanobana_server.store.blobs import MissingBlobs
from nanobana_server.store.ops import relayer, resolve
from nanobana_server.store.ops.landing import answered, land, missing_became_moved
from nanobana_server.store.ops.laying import Laid, put_tiles
from nanobana_server.store.ops.resolve import Past
from nanobana_server.store.store import Store
from nanobana_server.store.types import Commit, Committed, Flip, JobWrite, LayerGone, Moved, Record, TileWrite

FIRST_MASKS = 32
"""Coverage masks fetched at first for a tile that needs pixels; four times as many in each further round."""

Side = Literal["undo", "redo"]

_record = msgspec.msgpack.Decoder(Record)
_layers = msgspec.msgpack.Decoder(list[Layer])
_job = msgspec.msgpack.Decoder(Job)


async def undo(store: Store, canvas: str, user: str, op: OpId) -> Committed:
    """Take back this user's newest op that is in force.

    An edit that is queued is cancelled, one that is staged discarded; an accepted result is undone as one op.

    Raises:
        NotFound: ``nothing_to_undo``.
    """
    return await land(store, canvas, op, lambda: _flip(store, canvas, user, op, "undo"))


async def redo(store: Store, canvas: str, user: str, op: OpId) -> Committed:
    """Do again what this user took back last, unless they did something new since.

    Raises:
        NotFound: ``nothing_to_redo``.
    """
    return await land(store, canvas, op, lambda: _flip(store, canvas, user, op, "redo"))


async def undo_person(store: Store, canvas: str, owner: str, op: OpId, person: str, first: int) -> Committed:
    """Take back what somebody did since, in one op of an owner; what others did over it stays (C9).

    It leaves the person's own undo stack and is the owner's to redo. Their edits that are still open are left alone.

    Args:
        first: seq of the oldest change that is meant; it reaches as far back as the log does.

    Raises:
        NotFound: ``nothing_to_undo``.
        NotAllowed: ``not_yourself``.
    """
    if owner == person:
        raise NotAllowed("For your own work there is undo.", code="not_yourself")
    keys = CanvasKeys(canvas)
    group = f"person/{op.client}/{op.n}"

    async def attempt() -> Committed:
        if isinstance(seq := await answered(store, canvas, op), int):
            return Committed(seq=seq, first_time=False)
        gathered = await store.client.run("gather_undo", [keys.stacks, keys.undo], [owner, person, first, group])
        if not gathered:
            raise NotFound("They did nothing in that time that can be taken back.", code="nothing_to_undo")
        return await _flip(store, canvas, owner, op, "undo", about=person, only=[int(seq) for seq in gathered])

    return await land(store, canvas, op, attempt)


@dataclass(frozen=True, slots=True)
class _Top:
    """The top of a stack as undo_top.lua answers it."""

    side: Side
    seq: int
    """Of the canvas when this was read."""
    seqs: list[int]
    records: list[Record]
    names: dict[TileKey, str]
    histories: dict[TileKey, list[Past]]
    canvas: CanvasInfo
    layers: list[Layer]
    layers_version: int
    owned: list[TileKey]
    """Tiles of the layers that these ops added or deleted."""
    job: Job | None


async def _flip(
    store: Store,
    canvas: str,
    user: str,
    op: OpId,
    side: Side,
    *,
    about: str | None = None,
    only: list[int] | None = None,
) -> Committed:
    """Take back or do again the top of a stack; with `only`, these ops or nothing. Raises Moved."""
    top = await _read(store, canvas, user, side)
    if only is not None and top.seqs != only:
        raise Moved("stack")
    if top.job is not None:
        return await _drop_edit(store, canvas, user, op, top, top.job)
    tiles = await _tiles(store, canvas, top)
    commit = Commit(
        op=op,
        user=user,
        kind=side,
        tiles=tiles,
        flip=Flip(user=user, source=side, seqs=top.seqs, as_of=top.seq),
        undoes=top.seqs[-1],
        about=about,
        over_budget=True,
    )
    try:
        return await store.commit(canvas, _with_layers(commit, top))
    except LayerGone as error:
        raise Moved("layers") from error


async def _drop_edit(store: Store, canvas: str, user: str, op: OpId, top: _Top, job: Job) -> Committed:
    staged = job.state == "staged"
    ended = msgspec.structs.replace(job, state="discarded" if staged else "cancelled")
    expect = ("staged",) if staged else ("queued", "running")
    commit = Commit(
        op=op,
        user=user,
        kind="undo",
        job=JobWrite(job=ended, expect=expect),
        flip=Flip(user=user, source="undo", seqs=top.seqs, keep=False),
        undoes=top.seqs[-1],
        over_budget=True,
    )
    return await store.commit(canvas, commit)


async def _read(store: Store, canvas: str, user: str, side: Side) -> _Top:
    keys = CanvasKeys(canvas)
    wanted = [
        keys.meta,
        keys.layers,
        keys.tiles,
        keys.undo,
        keys.history,
        keys.stacks,
        keys.flips,
        keys.public_jobs,
    ]
    reply = await store.client.run("undo_top", wanted, [user, side])
    if reply is None:
        raise NotFound(f"There is nothing of yours to {side}.", code=f"nothing_to_{side}")
    seqs, records, tiles, flips, meta, layers, owned, job = reply
    mine = {int(seq) for seq in seqs}
    flipped = {int(flips[i]): int(flips[i + 1]) for i in range(0, len(flips), 2)}
    names: dict[TileKey, str] = {}
    histories: dict[TileKey, list[Past]] = {}
    for i in range(0, len(tiles), 3):
        key = _key(tiles[i])
        names[key] = tiles[i + 1].decode()
        members = tiles[i + 2].decode().split()
        histories[key] = [_past(member, tiles[i].decode(), flipped, mine, side) for member in members]
    return _Top(
        side=side,
        seq=int(meta[6]),
        seqs=sorted(mine),
        records=[_record.decode(record) for record in records],
        names=names,
        histories=histories,
        canvas=CanvasInfo(
            id=canvas,
            title=meta[0].decode(),
            width=int(meta[1]),
            height=int(meta[2]),
            used_bytes=int(meta[4]),
            budget_bytes=int(meta[5]),
        ),
        layers=_layers.decode(layers),
        layers_version=int(meta[3]),
        owned=[_key(field) for field in owned],
        job=_job.decode(job) if job else None,
    )


def _past(member: str, field: str, flipped: dict[int, int], mine: set[int], side: Side) -> Past:
    seq, before, after, cover = resolve.parse(member, field)
    flip = flipped.get(seq, 0)
    in_force = side == "redo" if seq in mine else flip >= 0
    return Past(seq, before, after, cover, in_force, abs(flip))


async def _tiles(store: Store, canvas: str, top: _Top) -> list[TileWrite]:
    """What becomes of all tiles that these ops wrote; pixels are only touched where others came in between."""
    writes: list[TileWrite] = []
    mine = set(top.seqs)
    for key, history in top.histories.items():
        own = [past.seq for past in history if past.seq in mine]
        name = resolve.shortcut(history, own) if history else top.names[key]
        if name is not None:
            writes.append(TileWrite(key=key, before=top.names[key], after=name))
            continue
        try:
            mixed = await _mixed(store, canvas, top, key, history, own)
            writes += mixed or [TileWrite(key=key, before="", after="")]
        except NotFound as error:
            raise missing_became_moved(error) from error
    return writes


async def _mixed(
    store: Store, canvas: str, top: _Top, key: TileKey, history: Sequence[Past], own: Sequence[int]
) -> list[TileWrite]:
    pixels = await _planned(store, canvas, history, own)
    tiles = await store.get_tiles(canvas, [top.names[key], *(part.name for part in pixels.parts)])
    laid = await store.pool.run(_apply, key, tiles.get(top.names[key]), pixels, tiles)
    stored = await put_tiles(store, canvas, [laid], top.names, over_budget=True)
    return [msgspec.structs.replace(write, coverage="") for write in stored]


async def _planned(store: Store, canvas: str, history: Sequence[Past], own: Sequence[int]) -> resolve.Pixels:
    covers: dict[str, bytes] = {}
    at_once = FIRST_MASKS
    while True:
        found = await store.pool.run(resolve.plan, history, own, covers)
        if isinstance(found, resolve.Pixels):
            return found
        names = found.names[:at_once]
        for name, data in zip(names, await store.get_blobs(canvas, names), strict=True):
            if data is None:
                raise MissingBlobs([name])
            covers[name] = data
        at_once *= 4


def _apply(key: TileKey, current: Rgba | None, pixels: resolve.Pixels, tiles: dict[str, Rgba]) -> Laid:
    made = resolve.apply(current, pixels, tiles)
    return Laid(key, encode_tile(made), made, None)


def _with_layers(commit: Commit, top: _Top) -> Commit:
    """Adds what the ops did to layers and canvas; a layer goes only if nobody's pixels are left in it."""
    after = {write.key: write.after for write in commit.tiles}
    filled = {key[0] for key in top.owned if after.get(key, "?") != ""}
    filled |= {write.key[0] for write in commit.tiles if write.after != ""}
    layers, notes = top.layers, dict[int, Record]()
    both = list(zip(top.seqs, top.records, strict=True))
    for seq, record in reversed(both) if top.side == "undo" else both:
        if record.layers:
            layers, changes = relayer.turn(layers, record.layers, filled, top.side)
            notes[seq] = msgspec.structs.replace(record, layers=changes)
    extra: dict[str, Any] = {}
    if notes and commit.flip is not None:  # whose stack it is: an owner's where they take a person's work back
        extra |= {"layers_version": top.layers_version, "flip": msgspec.structs.replace(commit.flip, notes=notes)}
    if layers != top.layers:
        extra["layers"] = layers
        kept = {layer.id for layer in layers}
        extra["drop_layers"] = tuple(layer.id for layer in top.layers if layer.id not in kept)
    for record in top.records:
        if record.canvas_before is not None and record.canvas_after is not None:
            sides = record.canvas_after, record.canvas_before
            source, target = sides if top.side == "undo" else sides[::-1]
            canvas = relayer.canvas_after(top.canvas, source, target, has_layers=bool(layers))
            extra |= {"canvas": canvas, "layers_version": top.layers_version}
    present = {layer.id for layer in layers}
    # what was in a layer that is gone comes back with the layer
    tiles = [write for write in commit.tiles if write.key[0] in present or write.after == ""]
    extra["tiles"] = [write for write in tiles if write.before != write.after]
    extra["held"] = [write for write in tiles if write.before == write.after]  # what covers them may go meanwhile
    if "layers" not in extra:
        extra["need_layers"] = tuple({write.key[0] for write in extra["tiles"] if write.after != ""})
    return msgspec.structs.replace(commit, **extra)


def _key(field: bytes) -> TileKey:
    layer, tx, ty = field.decode().rsplit("/", 2)
    return layer, int(tx), int(ty)
