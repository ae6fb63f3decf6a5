"""A session writes when its socket has drained, holds nothing meanwhile, and then catches up from its cursor (R4)."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import msgspec
import pytest

from nanobana.protocol import codec
from nanobana.protocol import messages as m
from nanobana.protocol.canvas import CanvasInfo, Change, Manifest, OpId, Position
from nanobana_server.room.board import Board
from nanobana_server.room.cursor import Frames
from nanobana_server.room.outlet import Outlet, Stalled
from nanobana_server.room.pace import Pace
from nanobana_server.room.ring import Ring
from nanobana_server.room.wire import Gone, Sink

PACE = Pace(stall=0.05)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class FakeWire:
    """A socket that drains when it is told to."""

    def __init__(self) -> None:
        self.frames: list[bytes] = []
        self.is_clear = True
        self.is_open = True
        self._drained = anyio.Event()

    def write(self, frame: bytes) -> None:
        if not self.is_open:
            raise Gone
        assert self.is_clear, "written to a socket that had not drained"
        self.frames.append(frame)

    async def drained(self) -> None:
        while not self.is_clear:
            await self._drained.wait()

    def block(self) -> None:
        self.is_clear = False

    def drain(self) -> None:
        self.is_clear = True
        self._drained.set()
        self._drained = anyio.Event()

    def offer(self, sink: Sink) -> None:
        pass

    async def read(self) -> bytes:
        raise Gone

    def end(self, code: int, reason: str) -> None:
        self.is_open = False

    @property
    def messages(self) -> list[m.ServerMessage]:
        """What has been written, without the framing of RFC 6455."""
        heads = {126: 4, 127: 10}
        return [one for frame in self.frames for one in codec.read_server(frame[heads.get(frame[1], 2) :])]


class Bench:
    """A ring, a board, and readers of them."""

    def __init__(self, max_entries: int = 100) -> None:
        self.ring = Ring(0, max_entries=max_entries)
        self.board = Board()
        self.made: list[int] = []
        self.frames = Frames(self.ring, self.board, PACE, self.made.append)

    def change(self) -> None:
        seq = self.ring.head + 1
        entry = Change(seq=seq, epoch=1, op=OpId("a", seq), user="u", kind="paint", time_ms=0)
        self.ring.append(seq, msgspec.msgpack.encode(entry))
        self.frames.show()

    async def manifest(self) -> Manifest:
        position = Position(1, self.ring.head)
        return Manifest(position=position, canvas=CanvasInfo(id="c"), layers=[], tiles=[], jobs=[])

    def outlet(self, wire: FakeWire) -> Outlet:
        outlet = Outlet(wire, self.frames, PACE, self.manifest)
        outlet.start([codec.encode(m.Pong(n=0))], self.frames.newcomer(self.ring.head))
        return outlet


@asynccontextmanager
async def running(outlet: Outlet) -> AsyncIterator[None]:
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(outlet.run)
        await anyio.wait_all_tasks_blocked()
        yield
        await anyio.wait_all_tasks_blocked()
        tasks.cancel_scope.cancel()


def seqs(wire: FakeWire) -> list[int]:
    return [message.change.seq for message in wire.messages if isinstance(message, m.Changed)]


async def test_r6_everybody_gets_the_same_bytes_object() -> None:
    bench, wires = Bench(), [FakeWire() for _ in range(3)]
    outlets = [bench.outlet(wire) for wire in wires]
    bench.change()
    for outlet in outlets:
        outlet.push()
    assert len({id(wire.frames[-1]) for wire in wires}) == 1
    assert len(bench.made) == 1


async def test_r4_nothing_is_written_to_a_socket_that_has_not_drained_and_nothing_is_lost() -> None:
    bench, wire = Bench(), FakeWire()
    outlet = bench.outlet(wire)
    async with running(outlet):
        wire.block()
        for _ in range(5):
            bench.change()
            outlet.push()
        assert seqs(wire) == []
        wire.drain()
        await anyio.wait_all_tasks_blocked()
        assert seqs(wire) == [1, 2, 3, 4, 5]
        assert len(wire.frames) == 2


async def test_r4_a_reader_that_is_behind_the_ring_gets_the_manifest_and_goes_on() -> None:
    bench, wire = Bench(max_entries=1), FakeWire()
    outlet = bench.outlet(wire)
    async with running(outlet):
        wire.block()
        for _ in range(3):
            bench.change()
            outlet.push()
        wire.drain()
        await anyio.wait_all_tasks_blocked()
        assert [message.manifest.position.seq for message in wire.messages if isinstance(message, m.Resync)] == [3]
        bench.change()
        outlet.push()
    assert seqs(wire) == [4]


async def test_c4_a_new_epoch_resyncs_everybody() -> None:
    bench, wire = Bench(), FakeWire()
    outlet = bench.outlet(wire)
    async with running(outlet):
        bench.ring = Ring(7)
        bench.frames.restart(bench.ring)
        outlet.push()
        await anyio.wait_all_tasks_blocked()
        bench.change()
        outlet.push()
    assert [type(message) for message in wire.messages] == [m.Pong, m.Resync, m.Changed]


async def test_r4_a_socket_that_takes_nothing_for_too_long_is_given_up() -> None:
    bench, wire = Bench(), FakeWire()
    outlet = bench.outlet(wire)
    wire.block()
    bench.change()
    outlet.push()
    with pytest.raises(Stalled):
        await outlet.run()


async def test_answers_come_before_what_the_room_shows_and_wait_for_the_socket_too() -> None:
    bench, wire = Bench(), FakeWire()
    outlet = bench.outlet(wire)
    async with running(outlet):
        wire.block()
        bench.change()
        outlet.push()
        outlet.reply(m.Pong(n=1))
        outlet.reply(m.Pong(n=2))
        wire.drain()
        await anyio.wait_all_tasks_blocked()
    assert [type(message) for message in wire.messages] == [m.Pong, m.Pong, m.Pong, m.Changed]


async def test_no_more_ops_are_taken_while_their_answers_lie_unread() -> None:
    bench, wire = Bench(), FakeWire()
    outlet = bench.outlet(wire)
    async with running(outlet):
        wire.block()
        n = 0
        while not outlet.is_full:
            n += 1
            outlet.reply(m.Pong(n=n))
        with anyio.move_on_after(0.01) as waited:
            await outlet.answered()
        assert waited.cancelled_caught
        wire.drain()
        with anyio.fail_after(1):
            await outlet.answered()
    assert len(wire.messages) == n + 1
