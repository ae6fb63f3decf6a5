"""What rooms are told of the engines: how many there are, and how long their queue is (R3)."""

from collections.abc import Awaitable, Callable

import anyio
import structlog

from nanobana.keyspace.keys import FamilyKeys
from nanobana.protocol import messages as m
from nanobana.protocol.errors import NanobanaError
from nanobana_server import jobs
from nanobana_server.metrics import Metrics
from nanobana_server.room.rooms import Rooms
from nanobana_server.store import Store

LOOK_S = 1.0
PLACES_S = 0.5
AGE_S = 5.0

_log = structlog.get_logger("nanobana.engines")


class EngineWatch:
    """Tells the open rooms what it sees in the store."""

    def __init__(self, store: Store, rooms: Rooms, metrics: Metrics, family: FamilyKeys) -> None:
        self._metrics = metrics
        self._store = store
        self._rooms = rooms
        self._family = family
        self._places: dict[str, jobs.Place] = {}

    async def run(self) -> None:
        """Look, for ever; an absent store changes nothing."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._every, LOOK_S, self.look)
            tasks.start_soon(self._every, PLACES_S, self.look_at_queue)
            tasks.start_soon(self._every, AGE_S, self.look_at_age)

    @staticmethod
    async def _every(seconds: float, look: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                await look()
            except NanobanaError as error:
                _log.debug("engines not seen", code=error.code)
            await anyio.sleep(seconds)

    async def look(self) -> None:
        """Count the engines that take work, and say which models they serve and what each can be asked for."""
        served = await jobs.look(self._store, self._family)
        self._rooms.set_engines(
            m.Engines(count=served.count, models=tuple(served.models), loading="" if served.count else served.loading)
        )

    async def look_at_age(self) -> None:
        """How long the oldest edit waits; a figure for who runs the server."""
        self._metrics.queue_age_seconds.set(await jobs.queue_age_s(self._store, self._family))

    async def look_at_queue(self) -> None:
        """Show each waiting edit its place; only the rooms on this server, each server does its own."""
        waiting = [(room, job) for room in self._rooms.open for job in room.open_jobs]
        if not waiting:
            self._places.clear()
            return
        places = await jobs.queue_places(self._store, self._family)
        for room, job in waiting:
            place = places.get(job)
            if place is not None and self._places.get(job) != place:
                room.show_place(job, place.number, place.wait_s)
        self._places = {job: places[job] for _, job in waiting if job in places}
