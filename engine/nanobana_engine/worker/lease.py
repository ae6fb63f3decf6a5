"""Keeping a claimed job: heartbeats for its attempt, at once when something happens on its canvas (J2, E8)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import anyio

from nanobana.keyspace.claims import Order, heartbeat, put_result
from nanobana.keyspace.client import Client
from nanobana.keyspace.keys import CanvasKeys
from nanobana.protocol.errors import Unavailable
from nanobana_engine.worker.patience import BackOff

AT_MOST_EVERY_S = 0.04
"""Between two heartbeats, however often the canvas changes."""

HANDED_IN_MS = 30_000
"""The lease while a result lies in its stream: a slow server must not make the sweeper send the job again."""


class Lease:
    """One attempt at a job."""

    def __init__(self, client: Client, canvas: str, job: str, attempt: int, *, lease_ms: int, beat_s: float) -> None:
        self.canvas = canvas
        self.job = job
        self.attempt = attempt
        self._client = client
        self._lease_ms = lease_ms
        self._beat_s = beat_s
        self._look = anyio.Event()
        self._held: Order | None = None
        """What the store said when the lease was extended for the result."""

    def look_now(self) -> None:
        """Something happened that may concern this job: ask the store without waiting for the next beat."""
        self._look.set()

    async def keep(self, stopped: Callable[[Order], None]) -> None:
        """Beat until the order is not "go", then say which it is. A store that is away is no order."""
        back_off = BackOff()
        while True:
            with anyio.move_on_after(self._beat_s):
                await self._look.wait()
            self._look = anyio.Event()
            try:
                order = await heartbeat(self._client, self.canvas, self.job, self.attempt, self._lease_ms)
            except Unavailable:
                await back_off.wait()
                continue
            back_off.reset()
            if order != "go":
                stopped(order)
                return
            await anyio.sleep(AT_MOST_EVERY_S)

    async def listen(self) -> None:
        """Turn the canvas's bell into `look_now`, so that a cancel is heard within milliseconds; never ends."""
        back_off = BackOff()
        while True:
            try:
                async with self._client.sharded_channels(CanvasKeys(self.canvas).bell) as bell:
                    self.look_now()  # what rang before we listened
                    async for message in bell.listen():
                        if message["type"] == "smessage":
                            back_off.reset()
                            self.look_now()
            except Unavailable:
                await back_off.wait()

    async def extend(self) -> Order:
        """Hold on while the result is on its way."""
        if self._held is None:
            self._held = await heartbeat(self._client, self.canvas, self.job, self.attempt, HANDED_IN_MS)
        return self._held

    async def put(self, blobs: Sequence[bytes]) -> list[str]:
        """Store the last bytes of the result, which is then on its way; `extend` knows the order already.

        Raises:
            StorageFull, NotFound: what the store refused.
        """
        put = put_result(self._client, self.canvas, self.job, self.attempt, blobs, HANDED_IN_MS)
        names, self._held = await put
        return names

    async def give_back(self) -> None:
        """End the lease now, so that another worker can claim at once."""
        await heartbeat(self._client, self.canvas, self.job, self.attempt, 0)
