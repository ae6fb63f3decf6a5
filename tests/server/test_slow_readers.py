"""A reader that stops reading costs a cursor: little memory, and the others notice nothing (R4)."""

import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from statistics import median

import anyio.to_thread
import pytest
from websockets.asyncio.client import connect

from nanobana.protocol import PROTOCOL_VERSION, codec
from nanobana.protocol import messages as m
from nanobana.protocol.geometry import Box
from nanobana_server.room import relay
from nanobana_server.room.pace import Pace
from nanobana_server.store import Store, open_store
from support.live_server import Links, LiveServer, live_server
from support.members import PATIENCE_S, RawMember, member, ticket_of
from support.valkey import PrivateValkey

JPEG = bytes(48_000)
ROUNDS = 60


@pytest.fixture(scope="module")
async def store(anyio_backend: object, valkey: PrivateValkey) -> AsyncIterator[Store]:
    opened = await open_store(valkey.url)
    yield opened
    await opened.aclose()


@pytest.fixture(scope="module")
async def impatient(anyio_backend: object, valkey: PrivateValkey) -> AsyncIterator[LiveServer]:
    async with live_server(valkey.url, pace=Pace(stall=0.3)) as live:
        yield live


@asynccontextmanager
async def sleeper(links: Links) -> AsyncIterator[RawMember]:
    """Somebody who has joined through a small window and reads nothing until `wake`."""
    ticket = (await ticket_of(links.edit))["ticket"]
    narrow = socket.socket()
    narrow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16_384)
    port = int(links.edit.origin.rsplit(":", 1)[1])
    await anyio.to_thread.run_sync(narrow.connect, ("127.0.0.1", port))
    narrow.setblocking(False)
    async with connect(links.edit.socket, sock=narrow, max_size=None, compression=None, max_queue=None) as opened:
        raw = RawMember(opened, "sleeper")
        await raw.send(m.Hello(protocol=PROTOCOL_VERSION, ticket=ticket, client="sleeper"))
        await raw.until(m.Welcome)
        opened.transport.pause_reading()
        yield raw


def held_for(server: LiveServer, raw: RawMember) -> int:
    """Bytes that the server process holds for a member's socket."""
    own = raw.socket.transport.get_extra_info("sockname")
    for connection in server.server.server_state.connections:
        if connection.transport.get_extra_info("peername")[:2] == own[:2]:
            return int(connection.transport.get_write_buffer_size())
    return 0


async def publish(store: Store, links: Links, job: str, step: int, jpeg: bytes = JPEG) -> None:
    preview = m.Preview(job=job, state="running", step=step, of=ROUNDS, box=Box(0, 0, 8, 8), jpeg=jpeg)
    await store.publish(links.edit.canvas, "an-engine", codec.encode(preview))


async def stall(server: LiveServer, store: Store, links: Links) -> None:
    """Show things until a socket of this canvas has not drained."""
    room = next(room for room in server.rooms.open if room.canvas == links.edit.canvas)
    with anyio.fail_after(PATIENCE_S):
        step = 0
        while not any(reader.lags for reader in room.readers):
            step += 1
            await publish(store, links, "job", step)
            await anyio.sleep(0.01)


async def wait_for(ben: RawMember, store: Store, links: Links, step: int) -> float:
    """Seconds until somebody sees a step that is shown now."""
    began = time.perf_counter()
    await publish(store, links, f"job{step % 3}", step)
    while (await ben.until(m.Preview)).step != step:
        pass
    return time.perf_counter() - began


async def test_r4_a_paused_reader_costs_little_and_the_others_nothing(
    server: LiveServer, canvas: Links, store: Store
) -> None:
    async with member(canvas.view) as (ben, _):
        alone = median([await wait_for(ben, store, canvas, step) for step in range(1, 21)])
    async with sleeper(canvas) as asleep, member(canvas.view) as (ben, _):
        waits: list[float] = []
        most = 0
        for step in range(1, ROUNDS + 1):
            waits.append(await wait_for(ben, store, canvas, step))
            most = max(most, held_for(server, asleep))
        assert most <= 2 * 2**20 / 4
        assert median(waits) < 3 * alone + 0.05
        assert any(reader.lags for room in server.rooms.open for reader in room.readers)
        asleep.socket.transport.resume_reading()
        await asleep.until(m.Preview, lambda preview: preview.step == ROUNDS)
        got = [message for message in asleep.seen if isinstance(message, m.Preview)]
        assert len(got) < ROUNDS / 2


async def test_r4_who_wakes_up_has_missed_no_change(server: LiveServer, canvas: Links, store: Store) -> None:
    async with sleeper(canvas) as asleep, member(canvas.edit) as (ana, _):
        await stall(server, store, canvas)
        seqs = [(await ana.do(m.LayerAdd(op=ana.op(), layer=f"l{n}", name="l" * 200))).seq for n in range(40)]
        asleep.socket.transport.resume_reading()
        await asleep.until(m.Changed, lambda changed: changed.change.seq == seqs[-1])
        got = [message.change.seq for message in asleep.seen if isinstance(message, m.Changed)]
        assert got == seqs


async def test_r4_a_reader_that_fell_behind_the_ring_gets_the_manifest(
    server: LiveServer, canvas: Links, store: Store
) -> None:
    async with sleeper(canvas) as asleep, member(canvas.edit) as (ana, _):
        room = next(room for room in server.rooms.open if room.canvas == canvas.edit.canvas)
        await stall(server, store, canvas)
        await ana.do(m.LayerAdd(op=ana.op(), layer="sky", name="sky"))
        await ana.until(m.Changed)
        room.ring.floor = room.ring.head
        asleep.socket.transport.resume_reading()
        manifest = (await asleep.until(m.Resync)).manifest
        assert [layer.id for layer in manifest.layers] == ["sky"]


async def test_r4_a_reader_that_stalls_for_too_long_is_cut_off(impatient: LiveServer, store: Store) -> None:
    links = await impatient.new_canvas()
    async with sleeper(links) as asleep, member(links.view) as (ben, _):
        await stall(impatient, store, links)
        left = await ben.until(m.Left)
        assert left.id != ""
        asleep.socket.transport.resume_reading()
        assert await asleep.closed() == m.CLOSE_SLOW


def test_relay_tells_a_frame_from_a_single_message() -> None:
    left = m.Left(id="a")
    assert relay.opened(codec.encode(left)) == relay.opened(relay.packed([left])) == [left]
    assert relay.opened(b"") == relay.opened(b"\xc1") == []
