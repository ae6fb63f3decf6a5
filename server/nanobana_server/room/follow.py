"""Keeps one room in step with the store: bells are heard, the log is read, a lost log is noticed (R9)."""

from collections.abc import Callable

import anyio
import msgspec
import structlog

from nanobana.keyspace.keys import CanvasKeys
from nanobana.protocol import codec
from nanobana.protocol import messages as m
from nanobana.protocol.checksum import canvas_sum
from nanobana.protocol.errors import NanobanaError, NotFound, Unavailable
from nanobana_server import jobs
from nanobana_server.metrics import Metrics
from nanobana_server.policy.standing import STANDING_CHANGED
from nanobana_server.room import relay
from nanobana_server.room.room import Room
from nanobana_server.store import Store
from nanobana_server.store.types import Bell, Gone, Reconnected, Volatile

_BATCH = 256
_BACK_OFF = (0.05, 0.2, 0.5, 1.0, 2.0)

_log = structlog.get_logger("nanobana.room")


class Follower:
    """The tasks between one room and the store.

    Args:
        server: this server's ID on the volatile channel.
        standing_changed: called when somebody says that links or people of the canvas changed.
    """

    def __init__(
        self, room: Room, store: Store, server: str, metrics: Metrics, standing_changed: Callable[[], None]
    ) -> None:
        self._room = room
        self._store = store
        self._server = server
        self._metrics = metrics
        self._standing_changed = standing_changed
        self._rung = anyio.Event()
        self._subscribed = anyio.Event()

    async def subscribed(self) -> None:
        """Return once the subscription stands (R5: subscribe first)."""
        await self._subscribed.wait()

    async def listen(self) -> None:
        """Hear bells and volatile traffic, for ever; the subscription reconnects by itself."""
        async for heard in self._store.subscribe(self._room.canvas):
            match heard:
                case Bell(seq=seq):
                    if seq > self._room.ring.head:
                        self._room.bell()
                        self._rung.set()
                case Volatile(sender=sender, message=body) if sender != self._server:
                    self._hear(body)
                case Volatile():
                    pass
                case Reconnected():
                    self._subscribed.set()
                    self._rung.set()

    def _hear(self, body: bytes) -> None:
        if body == STANDING_CHANGED:
            self._standing_changed()
            return
        if body.startswith(relay.RECORDER):
            self._room.tape.wanted(body.removeprefix(relay.RECORDER))
            return
        for message in relay.opened(body):
            self._room.hear(message)

    async def read(self) -> None:
        """Read the log whenever the bell rings, and from time to time in case it did not, for ever.

        Raises:
            NotFound: the canvas was deleted.
        """
        failures = 0
        while True:
            with anyio.move_on_after(self._room.pace.poll):
                await self._rung.wait()
            was_rung = self._rung.is_set()
            self._rung = anyio.Event()
            try:
                found = await self._catch_up()
                failures = 0
                if found and not was_rung:
                    self._metrics.gaps.inc(found)
            except NotFound:
                raise
            except Unavailable as error:
                _log.warning("log not readable", canvas=self._room.canvas, code=error.code)
                await anyio.sleep(_BACK_OFF[min(failures, len(_BACK_OFF) - 1)])
                failures += 1
                self._rung.set()

    async def _catch_up(self) -> int:
        """Append what is new; how many entries that was."""
        found = 0
        while True:
            try:
                tail = await self._store.log_after(self._room.canvas, self._room.position, _BATCH)
            except Gone as gone:
                await self._restart(gone)
                return found
            for seq, entry in tail:
                self._room.append(seq, entry)
            found += len(tail)
            if len(tail) < _BATCH:
                return found

    async def _restart(self, gone: Gone) -> None:
        if gone.reason in ("ahead", "replaced"):
            await self._store.raise_epoch(self._room.canvas, gone.epoch)
        manifest = await self._store.manifest(self._room.canvas)
        _log.warning("room starts again", canvas=self._room.canvas, reason=gone.reason, seq=manifest.position.seq)
        self._room.restart(manifest)

    async def relay(self) -> None:
        """Publish what other servers must hear, for ever; lost where the store is away, as volatile traffic may be."""
        while True:
            await self._room.relay_wanted.wait()
            self._room.relay_wanted = anyio.Event()
            messages, self._room.outgoing = self._room.outgoing, []
            try:
                await self._store.publish(self._room.canvas, self._server, relay.packed(messages))
            except NanobanaError as error:
                _log.debug("volatile traffic lost", canvas=self._room.canvas, code=error.code)

    async def tape(self) -> None:
        """Publish what members ask while somebody records it, for ever; lost where the store is away."""
        channel = CanvasKeys(self._room.canvas).tape
        while True:
            asked = await self._room.tape.take()
            try:
                await self._store.client.call("SPUBLISH", channel, msgspec.msgpack.encode(asked))
            except NanobanaError as error:
                _log.debug("recorder not told", canvas=self._room.canvas, code=error.code)

    async def sample(self) -> None:
        """Say from time to time what everybody's copy must look like, as the store has it, for ever (R9)."""
        room = self._room
        while True:
            await anyio.sleep(room.pace.sample)
            try:
                manifest = await self._store.manifest(room.canvas)
            except NanobanaError as error:
                _log.debug("canvas not sampled", canvas=room.canvas, code=error.code)
                continue
            if manifest.position == room.position:  # else readers stand elsewhere: the next one will do
                rows = ((tile.layer, tile.tx, tile.ty, tile.name) for tile in manifest.tiles)
                said = m.Checksum(position=manifest.position, sum=canvas_sum(manifest.layers, rows))
                room.board.single("checksum", codec.encode(said))
                room.stir()

    async def foretell(self) -> None:
        """Tell the engines what members may ask for next, for ever; lost where the store is away."""
        while True:
            await self._room.foreseen_wanted.wait()
            self._room.foreseen_wanted = anyio.Event()
            hints, self._room.foreseen = self._room.foreseen, {}
            try:
                for hint in hints.values():
                    await jobs.foretell(self._store, hint)
            except NanobanaError as error:
                _log.debug("engines not told", canvas=self._room.canvas, code=error.code)

    async def keep_presence(self) -> None:
        """Say that our members are here and learn who is elsewhere, for ever."""
        room = self._room
        while True:
            try:
                room.presence.reconcile(await self._store.put_members(room.canvas, room.presence.here))
                room.stir()
            except NanobanaError as error:
                _log.debug("presence not renewed", canvas=room.canvas, code=error.code)
            await anyio.sleep(room.pace.beat)


def problem_of(error: NanobanaError) -> m.Problem:
    """An error of ours as the last message of a socket."""
    return m.Problem(code=error.code, message=error.message, retry_ms=error.retry_ms)
