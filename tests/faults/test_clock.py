"""The store's clock jumps by hours, forth and back, while people work: nothing is lost and no edit hangs (J2, C10)."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import anyio
import pytest
from anyio import to_thread

from nanobana.keyspace import claims
from nanobana.keyspace.keys import CanvasKeys, FamilyKeys
from nanobana.protocol.jobs import EngineBeat
from nanobana.protocol.messages import Member
from nanobana_server.store import Store, open_store
from support import truth
from support.clock import Clock, compiler, jumpy_valkey
from support.engine_process import EngineProcess
from support.live_server import live_server
from support.ordeal import edits_end
from support.restless import SIDE, Restless
from support.strokes import Easel
from support.valkey import PrivateValkey
from support.work import queued, taken

HOURS = 3600

pytestmark = [
    pytest.mark.faults,
    pytest.mark.timeout(90),
    pytest.mark.skipif(compiler() is None, reason="needs a C compiler, for a clock that jumps"),
]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def jumpy(tmp_path: Path) -> Iterator[tuple[PrivateValkey, Clock]]:
    with jumpy_valkey(tmp_path) as running:
        yield running


@pytest.fixture
async def store(jumpy: tuple[PrivateValkey, Clock]) -> AsyncIterator[Store]:
    store = await open_store(jumpy[0].url)
    yield store
    await store.aclose()


async def jump(store: Store, clock: Clock, hours: int) -> None:
    """Until the store has noticed: it reads the clock a few times a second and counts on by itself meanwhile."""
    clock.jump_to(hours * HOURS)
    with anyio.fail_after(10):
        while abs(await store.now_ms() / 1000 - time.time() - hours * HOURS) > 60:  # noqa: ASYNC110 - a clock
            await anyio.sleep(0.01)


async def test_j2_what_a_dead_engine_or_server_left_in_the_future_holds_nobody_up(
    jumpy: tuple[PrivateValkey, Clock], store: Store
) -> None:
    clock = jumpy[1]
    easel = await Easel.new(store)
    true_ms = await store.now_ms()
    await jump(store, clock, 5)
    job = await queued(easel)
    first = await taken(easel, job, "w1")
    engine = EngineBeat(worker="w1", model="nano", device="cpu", running=1, pid=1, host="h")
    await claims.beat(store.client, FamilyKeys(), engine)
    await store.put_member(easel.id, Member(id="m1", user="ana", name="Ana", color="#aa0000", role="editor"))
    await jump(store, clock, 0)
    assert await claims.engines(store.client, FamilyKeys()) == []
    assert await store.members(easel.id) == []
    assert (await taken(easel, job, "w2")).attempt == first.attempt + 1
    lease = await store.client.call("HGET", CanvasKeys(easel.id).job(job), "lease_until")
    assert int(lease) < true_ms + HOURS * 1000


async def test_c10_the_clock_jumps_while_people_work_and_every_acknowledged_op_is_there(
    jumpy: tuple[PrivateValkey, Clock], store: Store, tmp_path: Path
) -> None:
    valkey, clock = jumpy
    engine = EngineProcess(valkey.url, tmp_path / "engine.log", step_s=0.01)
    try:
        await to_thread.run_sync(engine.wait_ready)
        async with live_server(valkey.url) as server:
            made = (await server.new_canvas(SIDE, SIDE)).edit
            start = await store.manifest(made.canvas)
            people = [Restless(f"t{n}", [made], 4, steps=50) for n in range(4)]
            goal: list[int] = []
            async with anyio.create_task_group() as editing:
                for person in people:
                    editing.start_soon(person.run, lambda who: bool(goal) and who.replica.position.seq >= goal[0])
                for hours in (3, 0, -2, 5, 0):
                    await jump(store, clock, hours)
                    await anyio.sleep(0.3)
                while not all(person.is_done for person in people):  # noqa: ASYNC110 - no event is common to them
                    await anyio.sleep(0.05)
                goal.append((await edits_end(store, made.canvas)).position.seq)
            manifest, log = await store.manifest(made.canvas), await truth.whole_log(store, made.canvas)
    finally:
        engine.kill()
    truth.check_log(log)
    there = truth.same(manifest).digest()
    assert truth.replayed(start, log).digest() == there
    for person in people:
        assert person.replica.digest() == there
        truth.check_answers(log, person.record.acked, person.record.refused)
