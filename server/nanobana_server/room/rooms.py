"""The canvases that are open on this server: opened by the first member, closed a while after the last (R4)."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import anyio
import structlog
from anyio.abc import TaskGroup, TaskStatus

from nanobana.protocol import messages as m
from nanobana.protocol.errors import NanobanaError, NotAllowed, NotFound, Unavailable
from nanobana_server.metrics import Metrics
from nanobana_server.policy.standing import CLOSES, StandingWatch
from nanobana_server.room.follow import Follower, problem_of
from nanobana_server.room.pace import Pace
from nanobana_server.room.room import Room
from nanobana_server.store import Store

LINGER_S = 5.0
"""A room outlives its last member by this, so that a reload finds it open."""

SUBSCRIBE_S = 3.0
"""How long opening a room waits for its subscription."""

_log = structlog.get_logger("nanobana.room")


@dataclass(slots=True)
class _Slot:
    """A room that is open or being opened, with the number of sessions that hold it."""

    holders: int = 0
    room: Room | None = None
    error: NanobanaError | None = None
    settled: anyio.Event = field(default_factory=anyio.Event)
    released: anyio.Event = field(default_factory=anyio.Event)


class Rooms:
    """All open rooms of one server.

    Args:
        server: this server's ID, 16 ASCII characters at most.
        standing: who may be on a canvas, and as what.
    """

    def __init__(
        self,
        store: Store,
        server: str,
        pace: Pace,
        metrics: Metrics,
        standing: StandingWatch,
        clock: Callable[[], float],
    ) -> None:
        self.server = server
        self.pace = pace
        self._store = store
        self._metrics = metrics
        self._standing = standing
        self._clock = clock
        self._slots: dict[str, _Slot] = {}
        self._engines = m.Engines(count=0)
        self._group: TaskGroup | None = None
        self.is_draining = False

    async def run(self, *, task_status: "TaskStatus[None]" = anyio.TASK_STATUS_IGNORED) -> None:
        """Be the parent of all rooms' tasks, until cancelled."""
        async with anyio.create_task_group() as group:
            self._group = group
            task_status.started()
            await anyio.sleep_forever()

    @property
    def open(self) -> list[Room]:
        return [slot.room for slot in self._slots.values() if slot.room is not None]

    @property
    def engines(self) -> m.Engines:
        """What was last said of the engines."""
        return self._engines

    def set_engines(self, engines: m.Engines) -> None:
        """Tell every room how many engines there are, if that has changed."""
        if engines != self._engines:
            self._engines = engines
            self._metrics.engines.set(engines.count)
            for room in self.open:
                room.engines(engines)

    async def drain(self) -> None:
        """Send every member away to come back (to another server); return when they are gone."""
        self.is_draining = True
        problem = m.Problem(code="draining", message="this server is going down, reconnecting", retry_ms=500)
        for room in self.open:
            for reader in room.readers:
                reader.end(m.CLOSE_DRAINING, problem)
        for slot in list(self._slots.values()):
            while slot.holders:
                await slot.released.wait()

    @asynccontextmanager
    async def held(self, canvas: str) -> AsyncIterator[Room]:
        """The room of a canvas, open while this is held.

        Raises:
            NotFound: ``no_canvas``.
            Unavailable: the store is away, or this server is going down.
        """
        if self._group is None or self.is_draining:
            raise Unavailable("this server is going down, come back in a moment", code="draining", retry_ms=500)
        slot = self._slots.get(canvas)
        if slot is None:
            slot = self._slots[canvas] = _Slot()
            self._group.start_soon(self._keep, canvas, slot)
        slot.holders += 1
        slot.released = anyio.Event()
        try:
            await slot.settled.wait()
            if slot.room is None:
                raise slot.error or Unavailable("the canvas could not be opened, try again", retry_ms=1000)
            yield slot.room
        finally:
            slot.holders -= 1
            if slot.holders == 0:
                slot.released.set()

    async def _keep(self, canvas: str, slot: _Slot) -> None:
        """One room's life. Whatever goes wrong in it ends this room's sessions and nothing else."""
        problem = m.Problem(code="room_closed", message="the room was closed, reconnecting", retry_ms=500)
        code = m.CLOSE_STORE
        try:
            await self._live(canvas, slot)
        except* NotFound as group:
            slot.error = _first(group)
            problem, code = problem_of(slot.error), m.CLOSE_GONE
        except* NanobanaError as group:
            slot.error = _first(group)
            problem = problem_of(slot.error)
        except* Exception:  # noqa: BLE001 - logged whole; only this room ends
            _log.exception("room failed", canvas=canvas)
        finally:
            self._forget(canvas, slot)
            self._metrics.rooms.set(len(self._slots))
            slot.settled.set()
            if slot.room is not None:
                for reader in slot.room.readers:
                    reader.end(code, problem)

    async def _live(self, canvas: str, slot: _Slot) -> None:
        manifest = await self._store.manifest(canvas)
        room = Room(manifest, self.pace, self._metrics, self._clock)
        follower = Follower(room, self._store, self.server, self._metrics, lambda: self._standing.forget(canvas))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(follower.listen)
            with anyio.move_on_after(SUBSCRIBE_S):  # without it the log is still polled
                await follower.subscribed()
            for task in (follower.read, follower.relay, follower.keep_presence, follower.sample, room.tick):
                tasks.start_soon(task)
            tasks.start_soon(follower.foretell)
            tasks.start_soon(follower.tape)
            tasks.start_soon(self._watch_standing, room)
            room.engines(self._engines)
            room.opened()
            slot.room = room
            self._metrics.rooms.set(len(self._slots))
            slot.settled.set()
            await self._until_empty(slot)
            slot.room = None
            self._forget(canvas, slot)
            tasks.cancel_scope.cancel()

    def _forget(self, canvas: str, slot: _Slot) -> None:
        """Let the next member open the canvas anew; while this slot was closing somebody may have done so already."""
        if self._slots.get(canvas) is slot:
            del self._slots[canvas]

    @staticmethod
    async def _until_empty(slot: _Slot) -> None:
        while True:
            await slot.released.wait()
            await anyio.sleep(LINGER_S)
            if slot.holders == 0:
                return

    async def _watch_standing(self, room: Room) -> None:
        """Within a second, end the sessions of those who may be here no more, and give others their new role (R7)."""
        while True:
            news = self._standing.news(room.canvas)
            try:
                await self._apply_standing(room)
            except NanobanaError as error:
                _log.debug("standing not read", canvas=room.canvas, code=error.code)
            with anyio.move_on_after(room.pace.poll):
                await news.wait()

    async def _apply_standing(self, room: Room) -> None:
        standing = await self._standing.of(room.canvas) if room.readers else None
        if standing is None or not standing.links:  # of a canvas that was deleted the follower says so
            return
        for reader in room.readers:
            try:
                role = standing.role_of(reader.access)
            except NotAllowed as refused:
                reader.end(CLOSES[refused.code], problem_of(refused))
                continue
            if role != reader.member.role:
                reader.become(role)
                await self._store.put_member(room.canvas, reader.member)


def _first(group: BaseExceptionGroup[NanobanaError]) -> NanobanaError:
    inner: BaseException = group
    while isinstance(inner, BaseExceptionGroup):
        inner = inner.exceptions[0]
    assert isinstance(inner, NanobanaError)
    return inner
