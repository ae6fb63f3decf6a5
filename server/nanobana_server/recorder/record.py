"""Records one canvas while people work: its state at the start, ops with their answers, changes with their bytes."""

import secrets
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field

import anyio
import msgspec

from nanobana import __version__
from nanobana.keyspace.keys import CanvasKeys
from nanobana.keyspace.snapshot import tile_ref
from nanobana.protocol.canvas import Change, Layer, OpId, Position
from nanobana.protocol.errors import Conflict, NotFound, Unavailable
from nanobana.protocol.replica import Replica
from nanobana_server.recorder.flight import VERSION, Begin, Blob, End, Entry, Writer
from nanobana_server.room.relay import RECORDER
from nanobana_server.room.tape import Asked, Told
from nanobana_server.store import Store
from nanobana_server.store.contents import Value
from nanobana_server.store.release import names_in

SENDER = "recorder"
ASK_S = 0.5
"""A server that opens the canvas later hears within this that it is recorded."""
PATIENCE_S = 5.0
"""A server that has the canvas open and answers nothing for so long is not waited for."""
LOOK_S = 0.2
BATCH = 64
TRIES = 20

_asked = msgspec.msgpack.Decoder(list[Asked | Told])
_layers = msgspec.msgpack.Decoder(list[Layer])
_change = msgspec.msgpack.Decoder(Change)


@dataclass(slots=True)
class Recorder:
    """One recording.

    Args:
        stop: set by whoever has seen enough.
    """

    store: Store
    canvas: str
    out: Writer
    stop: anyio.Event
    begun: anyio.Event = field(default_factory=anyio.Event)
    """Set once the canvas as it was is in the file."""
    asked: int = 0
    entries: int = 0
    _replica: Replica = field(default_factory=Replica)
    _written: set[bytes] = field(default_factory=set)
    _told: Counter[bytes] = field(default_factory=Counter)
    """By mark, how many servers have said it again."""
    _heard: anyio.Event = field(default_factory=anyio.Event)

    async def run(self) -> End:
        """Record until stopped.

        Raises:
            NotFound: ``no_canvas``.
            Gone: the store lost the canvas's last changes; what was recorded before is in the file.
        """
        if not await self.store.canvas_exists(self.canvas):
            raise NotFound(f"There is no canvas {self.canvas} in this store.", code="no_canvas")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._ask)
            tasks.start_soon(self._listen)
            await self._all_told()
            position = await self._begin()
            self.begun.set()
            while not self.stop.is_set():
                position = await self._follow(position)
                with anyio.move_on_after(LOOK_S):
                    await self.stop.wait()
            await self._all_told()  # answers that are still on their way
            position = await self._follow(position)
            tasks.cancel_scope.cancel()
        end = End(seq=position.seq, digest=self._replica.digest())
        self.out.add(end)
        return end

    async def _ask(self) -> None:
        """Say that a recorder is there, for ever."""
        while True:
            with suppress(Unavailable):
                await self.store.publish(self.canvas, SENDER, RECORDER)
            await anyio.sleep(ASK_S)

    async def _all_told(self) -> None:
        """Until every server that has the canvas open has told what it was asked before this moment."""
        with anyio.move_on_after(PATIENCE_S), suppress(Unavailable):
            while True:
                mark = secrets.token_bytes(6)
                servers = await self.store.publish(self.canvas, SENDER, RECORDER + mark)
                with anyio.move_on_after(ASK_S):  # or we were not listening ourselves yet
                    while self._told[mark] < servers:
                        await self._heard.wait()
                    return

    async def _listen(self) -> None:
        """Write what members ask; what is missed while the store is away is in the log all the same."""
        while True:
            try:
                async with self.store.client.sharded_channels(CanvasKeys(self.canvas).tape) as pubsub:
                    async for message in pubsub.listen():
                        if message["type"] == "smessage":
                            await self._note(_asked.decode(message["data"]))
            except Unavailable:
                await anyio.sleep(LOOK_S)

    async def _note(self, asked: Iterable[Asked | Told]) -> None:
        for one in asked:
            if isinstance(one, Told):
                self._told[one.mark] += 1
                self._heard.set()
                self._heard = anyio.Event()
                continue
            await self._blobs_in(one.message)
            self.out.add(one)
            self.asked += 1

    async def _begin(self) -> Position:
        """The canvas at one moment, then its blobs: those are named by content, so they may be read later."""
        keys = CanvasKeys(self.canvas)
        values = await self._values(keys)
        self._replica = replica_of(values)
        self.out.add(Begin(version=VERSION, nanobana=__version__, canvas=self.canvas, values=values))
        await self._write_blobs(await self.store.client.call("HKEYS", keys.blobs))
        return self._replica.position

    async def _values(self, keys: CanvasKeys) -> list[Value]:
        """Every key but the blobs, read by one script; again where a job came whose record was not among them."""
        unread = {keys.blobs, keys.mips, keys.mip_ages, keys.asleep, keys.members, keys.links}
        for _ in range(TRIES):
            jobs = await self._jobs(keys)
            wanted = [key for key in keys.all if key not in unread] + [keys.job(job) for job in jobs]
            found = await self.store.client.run("dump", wanted)
            if set(await self._jobs(keys)) <= set(jobs):
                return [
                    Value(key.removeprefix(keys.prefix), words[0].decode(), int(words[1]), words[2:])
                    for key, words in zip(wanted, found, strict=True)
                    if words[0] != b"none"
                ]
        raise Conflict("Too many edits begin here at this moment to begin recording; try again.", code="busy")

    async def _jobs(self, keys: CanvasKeys) -> list[str]:
        found = await self.store.client.call("HKEYS", keys.open_jobs)
        found += await self.store.client.call("ZRANGE", keys.ended_jobs, 0, -1)
        return [job.decode() for job in found]

    async def _follow(self, position: Position) -> Position:
        """Write what is new in the log, each entry after the blobs that it names."""
        while tail := await self.store.log_after(self.canvas, position):
            for seq, data in tail:
                change = _change.decode(data)
                await self._blobs_in(data)
                self.out.add(Entry(change=data))
                self._replica.apply(change)
                self.entries += 1
                position = Position(change.epoch, seq, change.op)
        return position

    async def _blobs_in(self, data: bytes) -> None:
        await self._write_blobs([name for name in dict.fromkeys(names_in(data)) if name not in self._written])

    async def _write_blobs(self, names: list[bytes]) -> None:
        keys = CanvasKeys(self.canvas)
        for start in range(0, len(names), BATCH):
            batch = names[start : start + BATCH]
            for name, data in zip(batch, await self.store.client.call("HMGET", keys.blobs, *batch), strict=True):
                if data is not None:
                    self._written.add(name)
                    self.out.add(Blob(name=name.decode(), data=data))


def replica_of(values: Iterable[Value]) -> Replica:
    """A reader's copy of a canvas that was dumped."""
    of = {value.key: value.words for value in values}
    meta = dict(_paired(of["meta"]))
    replica = Replica()
    head = msgspec.msgpack.decode(meta[b"head_op"], type=OpId) if meta.get(b"head_op") else None
    replica.position = Position(int(meta[b"epoch"]), int(meta[b"seq"]), head)
    replica.layers = _layers.decode(of["layers"][0])
    for place, name in _paired(of.get("tiles", [])):
        ref = tile_ref(place, name)
        replica.tiles[ref.layer, ref.tx, ref.ty] = ref.name
    return replica


def _paired(words: list[bytes]) -> Iterable[tuple[bytes, bytes]]:
    return zip(words[::2], words[1::2], strict=True)
