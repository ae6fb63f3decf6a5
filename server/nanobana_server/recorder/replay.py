"""Replays a recorded canvas in an empty store: every op is done again, and each change must be the one it was."""

from pathlib import Path
from typing import Any

import msgspec

from nanobana.keyspace.keys import CanvasKeys
from nanobana.protocol import codec
from nanobana.protocol import messages as m
from nanobana.protocol.canvas import Change, OpId, Thread
from nanobana.protocol.errors import BadInput, NanobanaError
from nanobana.protocol.replica import Replica
from nanobana.raster.coverage import WHOLE
from nanobana_server.recorder.flight import Begin, Blob, End, Entry, frames
from nanobana_server.room.ops import author_of, done
from nanobana_server.room.tape import Asked
from nanobana_server.store import Store
from nanobana_server.store.contents import put_values
from nanobana_server.store.ops.imports import undo_of
from nanobana_server.store.types import Author, Commit, JobWrite, ThreadWrite, TileWrite

_change = msgspec.msgpack.Decoder(Change)


class Report(msgspec.Struct, kw_only=True):
    """What came of a replay."""

    canvas: str
    ops: int = 0
    """Done again."""
    changes: int = 0
    """That nobody's recorded op made: results of engines, pictures over HTTP; taken as they were."""
    refused: int = 0
    """Ops that were refused then; in the file to be read, not done again."""
    seq: int = 0
    digest: str = ""
    is_whole: bool = False
    """The recorder ended as it should."""
    difference: str = ""
    """The first change that is not what it was; nothing is replayed after it."""


async def replay(store: Store, path: Path) -> Report:
    """Do it all again.

    Args:
        store: one without this canvas, and without engines.

    Raises:
        BadInput: ``bad_flight``.
    """
    asked: dict[OpId, Asked] = {}
    refused = 0
    for frame in frames(path):
        if isinstance(frame, Asked):
            refused += frame.seq is None
            if frame.seq is not None:
                op = _op_of(frame).op
                asked[op] = asked[op] if frame.again and op in asked else frame
    replaying: Replaying | None = None
    for frame in frames(path):
        match frame:
            case Begin():
                replaying = Replaying(store, frame, asked, refused)
                await replaying.begin()
            case Blob() if replaying is not None:
                await replaying.keep(frame)
            case Entry() if replaying is not None and not replaying.report.difference:
                await replaying.step(_change.decode(frame.change))
            case End() if replaying is not None:
                await replaying.end(frame)
            case _:
                pass
    if replaying is None:
        raise BadInput(f"{path} ends before it begins.", code="bad_flight")
    return await replaying.ended()


class Replaying:
    """A replay under way."""

    def __init__(self, store: Store, begin: Begin, asked: dict[OpId, Asked], refused: int) -> None:
        self._store = store
        self._begin = begin
        self._asked = asked
        self._keys = CanvasKeys(begin.canvas)
        self._times: list[tuple[int, int]] = []
        """(seq, milliseconds) of the changes so far, as they were recorded."""
        self.report = Report(canvas=begin.canvas, refused=refused)

    async def begin(self) -> None:
        if not await put_values(self._store.client, self._keys, self._begin.values):
            raise BadInput("This canvas is in the store already; replay it in an empty one.", code="bad_flight")

    async def keep(self, blob: Blob) -> None:
        await self._store.client.call("HSETNX", self._keys.blobs, blob.name, blob.data)

    async def step(self, then: Change) -> None:
        """One change: by its op where that was recorded, else as it was."""
        report, canvas = self.report, self._begin.canvas
        position = await self._store.position(canvas)
        if position.seq < then.seq:
            asked = self._asked.get(then.op)
            try:
                if asked is not None:
                    await self._again(asked, then)
                    report.ops += 1
                else:
                    await self._store.commit(canvas, await self._as_it_was(then))
                    report.changes += 1
            except NanobanaError as error:
                report.difference = f"seq {then.seq}, {then.kind}: it was done then, and is refused now: {error}"
                return
        tail = await self._store.read_tail(canvas, then.seq - 1, 1)
        now = _change.decode(tail[0][1]) if tail else None
        if now is None or _compared(now) != _compared(then):
            report.difference = f"seq {then.seq}, {then.kind}: {_told(then, now)}"
        report.seq = then.seq
        self._times.append((then.seq, then.time_ms))

    async def _again(self, asked: Asked, then: Change) -> None:
        op, since = _seeded(_op_of(asked), then), None
        if isinstance(op, m.UndoPerson):
            since = await self._first_since(then.time_ms - op.minutes * 60_000)
        await done(self._store, self._begin.canvas, _signed(author_of(asked.member), then), op, since=since)

    async def _first_since(self, since_ms: int) -> int:
        """As `Store.first_since`, by the clock that there was."""
        if not self._times or self._times[0][1] >= since_ms:
            return await self._store.first_since(self._begin.canvas, since_ms)
        return next((seq for seq, ms in self._times if ms >= since_ms), self._times[-1][0] + 1)

    async def end(self, end: End) -> None:
        self.report.is_whole = True
        digest = await self._digest()
        if digest != end.digest and not self.report.difference:
            self.report.difference = f"the canvas at seq {end.seq} is {digest}, and was {end.digest}"

    async def ended(self) -> Report:
        self.report.digest = await self._digest()
        return self.report

    async def _digest(self) -> str:
        replica = Replica()
        replica.load(await self._store.manifest(self._begin.canvas))
        return replica.digest()

    async def _as_it_was(self, then: Change) -> Commit:
        """The same names on the same tiles. What came in can be taken back; of other changes nobody knows who may."""
        places = [(tile.layer, tile.tx, tile.ty) for tile in then.tiles]
        view = await self._store.look(self._begin.canvas, places)
        tiles = [
            TileWrite(key=place, before=view.names[place], after=tile.name, coverage=WHOLE)
            for place, tile in zip(places, then.tiles, strict=True)
        ]
        undo = None
        if then.kind == "import" and then.layers is not None:
            undo = undo_of(then.op, then.user, view, then.layers, tiles, then.canvas)
        states = ("", "queued", "running", "staged")
        return Commit(
            op=then.op,
            user=then.user,
            kind=then.kind,
            tiles=tiles,
            layers=then.layers,
            canvas=then.canvas,
            job=None if then.job is None else JobWrite(job=then.job, expect=states),
            thread=None if then.thread is None else await self._thread(then.thread),
            undo=undo,
            undoes=then.undoes,
            restores=then.restores,
            version=then.version,
            over_budget=True,
        )

    async def _thread(self, after: Thread) -> ThreadWrite:
        before = await self._store.client.call("HGET", self._keys.comments, after.id)
        return ThreadWrite(before=before or b"", after=after)


def _op_of(asked: Asked) -> m.Op:
    message = codec.read_client(codec.join([asked.message]))[0]
    assert isinstance(message, m.Op)
    return message


def _signed(author: Author, then: Change) -> Author:
    """Who did it, as they were then: after a lost connection an op is asked again with another colour, name or role."""
    author = msgspec.structs.replace(author, is_owner=True)  # it was taken, so they might
    if then.job is not None:
        return msgspec.structs.replace(author, name=then.job.user_name, color=then.job.color)
    if then.version is not None:
        return msgspec.structs.replace(author, name=then.version.user_name, color=then.version.color)
    if then.thread is not None and then.thread.comments:
        said = then.thread.comments[-1]
        return msgspec.structs.replace(author, name=said.name, color=said.color)
    return author


def _seeded(op: m.Op, then: Change) -> m.Op:
    """An edit with the seed that was drawn for it."""
    if not isinstance(op, m.Edit) or then.job is None:
        return op
    return msgspec.structs.replace(op, edit=msgspec.structs.replace(op.edit, seed=then.job.seed))


def _compared(change: Change) -> dict[str, Any]:
    """What must be the same: everything but the clock's part, how full things are, and which engines there were."""
    facts = _timeless(msgspec.to_builtins(change))
    assert isinstance(facts, dict)
    if facts.get("job"):
        facts["job"].pop("model", None)
    return facts


def _timeless(value: object) -> object:
    if isinstance(value, dict):
        kept = {key: each for key, each in value.items() if key not in ("epoch", "used_bytes")}
        return {key: _timeless(each) for key, each in kept.items() if not key.endswith("_ms")}
    return [_timeless(each) for each in value] if isinstance(value, list | tuple) else value


def _told(then: Change, now: Change | None) -> str:
    """Where two changes differ first, in words."""
    if now is None:
        return "nothing was written"
    place: list[str] = []
    was: Any = _compared(then)
    is_now: Any = _compared(now)
    while isinstance(was, dict) and isinstance(is_now, dict):
        place.append(next(key for key in was | is_now if was.get(key) != is_now.get(key)))
        was, is_now = was.get(place[-1]), is_now.get(place[-1])
    return f"{'.'.join(place)} is {str(is_now)[:200]}, and was {str(was)[:200]}"
