"""Servers and the store are killed while people work: nothing acknowledged is lost, everybody comes back (R5, C10)."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import anyio
import numpy as np
import pytest

from nanobana.protocol import codec
from nanobana.protocol import messages as m
from nanobana.protocol.errors import NanobanaError
from nanobana.protocol.geometry import Box
from nanobana.sdk import Canvas, join
from nanobana.sdk.http import Links, create_canvas
from nanobana.sdk.link import Link
from nanobana_server.store import open_store
from support.members import RawMember, member
from support.server_process import ServerProcess, server_process
from support.valkey import PrivateValkey, private_valkey

pytestmark = [pytest.mark.faults, pytest.mark.timeout(180)]

RED = np.full((16, 16, 4), (255, 0, 0, 255), np.uint8)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def valkey() -> Iterator[PrivateValkey]:
    with private_valkey() as running:
        yield running


@pytest.fixture
def server(valkey: PrivateValkey, tmp_path: Path) -> Iterator[ServerProcess]:
    with server_process(valkey.url, tmp_path) as running:
        yield running


@contextlib.asynccontextmanager
async def two_painters(server: ServerProcess) -> AsyncIterator[tuple[Canvas, Canvas, str, Links]]:
    """Ana and Ben on one canvas with one layer."""
    links = await create_canvas(server.origin, width=512, height=512)
    async with join(links.edit, name="Ana") as ana, join(links.edit, name="Ben") as ben:
        layer = await ana.add_layer("paper")
        await ben.until(lambda: bool(ben.layers))
        yield ana, ben, layer, links


async def paint_on(canvas: Canvas, layer: str, row: int, saved: list[int]) -> None:
    """Paint until cancelled; `saved` are the seqs that were acknowledged."""
    for n in range(10_000):
        with contextlib.suppress(NanobanaError):
            saved.append(await canvas.paint(layer, (n * 16) % 496, row, RED))


async def while_painting(painters: tuple[Canvas, Canvas, str, Links], kill: object) -> tuple[list[int], list[int]]:
    """Both paint; something dies under them and comes back; both go on until each has saved five more."""
    assert callable(kill)
    ana, ben, layer, _ = painters
    of_ana: list[int] = []
    of_ben: list[int] = []
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(paint_on, ana, layer, 0, of_ana)
        tasks.start_soon(paint_on, ben, layer, 256, of_ben)
        await _until(lambda: min(len(of_ana), len(of_ben)) >= 5)
        await asyncio.to_thread(kill)
        before = (len(of_ana), len(of_ben))
        await _until(lambda: len(of_ana) >= before[0] + 5 and len(of_ben) >= before[1] + 5)
        tasks.cancel_scope.cancel()
    return of_ana, of_ben


async def _until(holds: object) -> None:
    assert callable(holds)
    with anyio.fail_after(30):
        while not holds():  # noqa: ASYNC110 - somebody else's progress
            await anyio.sleep(0.01)


async def test_r5_after_kill_9_of_the_server_everybody_resumes_and_nothing_acknowledged_is_lost(
    server: ServerProcess,
) -> None:
    def crash() -> None:
        server.kill()
        server.start()

    async with two_painters(server) as painters:
        of_ana, of_ben = await while_painting(painters, crash)
        await _all_there(painters, of_ana + of_ben)


async def test_c10_after_kill_9_of_the_store_everybody_goes_on_and_nothing_acknowledged_is_lost(
    server: ServerProcess, valkey: PrivateValkey
) -> None:
    def crash() -> None:
        valkey.kill()
        valkey.start()

    async with two_painters(server) as painters:
        of_ana, of_ben = await while_painting(painters, crash)
        await _all_there(painters, of_ana + of_ben)


async def _all_there(painters: tuple[Canvas, Canvas, str, Links], saved: list[int]) -> None:
    """Both replicas are what a newcomer sees, and every acknowledged seq is one op of its own."""
    ana, ben, _, links = painters
    assert len(set(saved)) == len(saved)
    async with join(links.view) as newcomer:
        assert newcomer.replica.position.seq >= max(saved)
        # a stroke that was under way when they stopped may still land, and then the newcomer sees it too
        await _until(lambda: len({canvas.replica.digest() for canvas in (ana, ben, newcomer)}) == 1)


async def test_r8_sigterm_sends_members_away_to_come_back_and_exits_with_0(server: ServerProcess) -> None:
    links = await create_canvas(server.origin, width=512, height=512)
    async with member(Link.parse(links.edit)) as (ana, _):
        op = m.LayerAdd(op=ana.op(), layer="sky", name="sky")
        await ana.do(op)
        code = asyncio.create_task(asyncio.to_thread(server.terminate))
        assert (await ana.until(m.Problem)).code == "draining"
        assert await ana.closed() == m.CLOSE_DRAINING
        assert await code == 0


def test_a_port_that_is_taken_is_a_clear_error(server: ServerProcess, tmp_path: Path) -> None:
    second = ServerProcess(server.redis_url, tmp_path / "second.log")
    second.port = server.port
    assert second.run_to_its_end() == 75
    assert f"cannot listen on 127.0.0.1:{server.port}" in second.log.read_text("utf-8")


async def test_r4_a_paused_reader_costs_the_server_at_most_2_mib(server: ServerProcess, valkey: PrivateValkey) -> None:
    links = await create_canvas(server.origin, width=512, height=512)
    store = await open_store(valkey.url)
    link = Link.parse(links.view)

    async def show(megabytes: int) -> None:
        for step in range(megabytes * 20):
            preview = m.Preview(job=f"j{step % 4}", state="running", step=step, box=Box(0, 0, 8, 8), jpeg=bytes(50_000))
            await store.publish(link.canvas, "an-engine", codec.encode(preview))

    try:
        async with member(link) as (ben, _):
            drain = asyncio.create_task(_read_on(ben))
            await show(8)
            before = server.memory_bytes
            async with member(link) as (asleep, _):
                asleep.socket.transport.pause_reading()
                await show(30)
                assert server.memory_bytes - before <= 2 * 2**20
                asleep.socket.transport.abort()
            drain.cancel()
    finally:
        await store.aclose()


async def _read_on(who: RawMember) -> None:
    while True:
        await who.next()
        who.seen.clear()
