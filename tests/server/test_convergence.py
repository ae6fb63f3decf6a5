"""Readers that pause, vanish and come back end up with what the store has, with no gap on the way (R4, R5, C11)."""

import contextlib
import random
from collections.abc import AsyncIterator

import anyio
import pytest
from websockets.exceptions import ConnectionClosed

from nanobana.protocol import messages as m
from nanobana.protocol.canvas import Manifest
from nanobana.protocol.geometry import Box
from nanobana.protocol.replica import Replica
from nanobana.sdk.link import Link
from nanobana_server.room.pace import Pace
from support.bombs import png
from support.live_server import Links, LiveServer, live_server
from support.members import RawMember, member
from support.valkey import PrivateValkey

OPS = 60
TIGHT = Pace(ring_entries=6, conflate_above=2, resume_entries=30, frame_bytes=600)
"""So small that every way of catching up is taken."""


@pytest.fixture(scope="module")
async def tight(anyio_backend: object, valkey: PrivateValkey) -> AsyncIterator[LiveServer]:
    async with live_server(valkey.url, pace=TIGHT) as live:
        yield live


class Wanderer:
    """A reader with an unsteady connection."""

    def __init__(self, link: Link, seed: int) -> None:
        self.replica = Replica()
        self._link = link
        self._dice = random.Random(seed)
        self._loaded = False

    async def follow(self, goal: anyio.Event, head: list[int]) -> None:
        """Read, pause, drop and rejoin until the writers are done and everything is here."""
        while not (goal.is_set() and self.replica.position.seq >= head[0]):
            position = self.replica.position if self._loaded else None
            with contextlib.suppress(ConnectionClosed):
                async with member(self._link, position=position) as (who, welcome):
                    if welcome.manifest is not None:
                        self._load(welcome.manifest)
                    await self._stay(who, goal, head)

    async def _stay(self, who: RawMember, goal: anyio.Event, head: list[int]) -> None:
        leave_at = self.replica.position.seq + self._dice.randint(3, 15)
        while not goal.is_set() or self.replica.position.seq < head[0]:
            if self._dice.random() < 0.2:
                await anyio.sleep(self._dice.random() * 0.05)
            message: m.ServerMessage | None = None
            with anyio.move_on_after(0.05):
                message = await who.next()
            if isinstance(message, m.Changed):
                before = self.replica.position.seq
                if self.replica.apply(message.change):
                    assert message.change.seq == before + 1, "a gap"
            elif isinstance(message, m.Resync):
                self._load(message.manifest)
            if not goal.is_set() and self.replica.position.seq >= leave_at:
                who.socket.transport.abort()
                await anyio.sleep(self._dice.random() * 0.2)
                return

    def _load(self, manifest: Manifest) -> None:
        self.replica.load(manifest)
        self._loaded = True


async def write(links: Links, seed: int, done: list[int]) -> None:
    """Layers come, change and go, tiles are painted over and over."""
    dice = random.Random(seed)
    patch = png(300, 40, colour=(seed, 80, 160, 255))
    async with member(links.edit) as (who, _):
        own = f"own{seed}"
        await who.do(m.LayerAdd(op=who.op(), layer=own, name=own))
        for n in range(OPS):
            if dice.random() < 0.7:
                x, y = dice.randrange(0, 200), dice.randrange(0, 400)
                op: m.Op = m.Paint(op=who.op(), layer=own, box=Box(x, y, x + 300, y + 40), png=patch)
            else:
                op = m.LayerSet(op=who.op(), layer=own, name=f"{own} {n}")
            done.append((await who.do(op)).seq)
            who.seen.clear()


@pytest.mark.timeout(180)
@pytest.mark.parametrize("seed", [1, 2])
async def test_r5_every_reader_ends_with_what_the_store_has(tight: LiveServer, seed: int) -> None:
    links = await tight.new_canvas()
    readers = [Wanderer(links.view, seed * 100 + n) for n in range(4)]
    goal, head, done = anyio.Event(), [10**9], list[int]()
    async with anyio.create_task_group() as reading:
        for reader in readers:
            reading.start_soon(reader.follow, goal, head)
        async with anyio.create_task_group() as writing:
            for n in range(2):
                writing.start_soon(write, links, seed * 10 + n, done)
        head[0] = max(done)
        goal.set()
    async with member(links.view) as (_, welcome):
        truth = Replica()
        assert welcome.manifest is not None
        truth.load(welcome.manifest)
    assert {reader.replica.digest() for reader in readers} == {truth.digest()}
    assert len(set(done)) == 2 * OPS
