"""The store's clock jumps by hours, forth and back, while people work: nothing is lost and no edit hangs (J2, C10)."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import anyio
import pytest
from anyio import to_thread

from nanobana.keyspace import claims
from nanobana.keyspace.keys import RESULT_GROUP, RESULTS, CanvasKeys, FamilyKeys
from nanobana.protocol.jobs import EngineBeat
from nanobana.protocol.messages import Member
from nanobana_server import jobs
from nanobana_server.store import Store, open_store
from support import truth
from support.clock import Clock, compiler, jumpy_valkey
from support.desk import Desk
from support.engine_process import EngineProcess
from support.live_server import FREE, live_server
from support.ordeal import edits_end
from support.restless import SIDE, Restless
from support.strokes import Easel
from support.valkey import PrivateValkey
from support.work import all_acknowledged, clean_queues, queued, result_of, states, taken, tickets

HOURS = 3600

pytestmark = [
    pytest.mark.faults,
    pytest.mark.timeout(240),
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


async def test_j3_a_result_that_a_server_died_with_is_taken_over_though_the_clock_jumped_back(
    jumpy: tuple[PrivateValkey, Clock], store: Store
) -> None:
    easel = await Easel.new(store)
    await jump(store, jumpy[1], 5)
    async with anyio.create_task_group() as group:
        group.start_soon(jobs.run_results, store, "dies")
        await _handed_in(easel)
        await all_acknowledged(store)
        group.cancel_scope.cancel()
    job = await _handed_in(easel)
    await store.client.call("XREADGROUP", "GROUP", RESULT_GROUP, "dies", "STREAMS", RESULTS, ">")
    await jump(store, jumpy[1], 0)
    async with anyio.create_task_group() as group:
        group.start_soon(jobs.run_results, store, "lives", 100)
        await all_acknowledged(store)
        group.cancel_scope.cancel()
    assert [state for one, state in await states(easel) if one == job] == ["queued", "staged"]


async def test_j3_a_result_taken_in_an_hour_that_nobody_else_saw_is_taken_over(
    jumpy: tuple[PrivateValkey, Clock], store: Store
) -> None:
    easel = await Easel.new(store)
    await store.client.call("XGROUP", "CREATE", RESULTS, RESULT_GROUP, "0", "MKSTREAM")
    job = await _handed_in(easel)
    await jump(store, jumpy[1], 5)
    await store.client.call("XREADGROUP", "GROUP", RESULT_GROUP, "dies", "STREAMS", RESULTS, ">")
    await jump(store, jumpy[1], 0)
    async with anyio.create_task_group() as group:
        group.start_soon(jobs.run_results, store, "lives", 100)
        await all_acknowledged(store)
        group.cancel_scope.cancel()
    assert [state for one, state in await states(easel) if one == job] == ["queued", "staged"]


async def _handed_in(easel: Easel) -> str:
    job = await queued(easel)
    await claims.hand_in(easel.store.client, await result_of(easel, job, (await taken(easel, job)).attempt))
    return job


async def test_j3_the_turn_of_a_server_that_died_before_the_clock_jumped_back_ends_in_its_time(
    jumpy: tuple[PrivateValkey, Clock], store: Store
) -> None:
    easel = await Easel.new(store)
    await jump(store, jumpy[1], 5)
    async with anyio.create_task_group() as group:
        group.start_soon(jobs.run_sweeper, store)
        await _there(lambda: store.client.call("EXISTS", "nb:sweeper"))
        group.cancel_scope.cancel()
    await queued(easel)
    await clean_queues(store)  # its ticket is lost
    await jump(store, jumpy[1], 0)
    async with anyio.create_task_group() as group:
        group.start_soon(jobs.run_sweeper, store, 0.1)
        await _there(lambda: tickets(store))
        group.cancel_scope.cancel()


@pytest.mark.parametrize("is_seen", [True, False])
async def test_j2_a_ticket_whose_engine_never_heard_of_it_waits_again_though_the_clock_jumped_back(
    jumpy: tuple[PrivateValkey, Clock], store: Store, is_seen: bool
) -> None:
    desk = Desk(store)
    await jump(store, jumpy[1], 5)
    await desk.engine("w1", left_ms=20)
    await desk.put("ana/0")
    assert await desk.take("w1", look=is_seen) == "ana-0"
    desk.hands["w1"].clear()  # the answer was lost
    await jump(store, jumpy[1], 0)
    await desk.beat("w1")
    await _there(lambda: desk.take("w1", look=True))


async def _there(asked: Callable[[], Awaitable[object]]) -> None:
    with anyio.fail_after(10):
        while not await asked():  # noqa: ASYNC110 - the store rings no bell for it
            await anyio.sleep(0.01)


async def test_c10_the_clock_jumps_while_people_work_and_every_acknowledged_op_is_there(
    jumpy: tuple[PrivateValkey, Clock], store: Store, tmp_path: Path
) -> None:
    valkey, clock = jumpy
    engine = EngineProcess(valkey.url, tmp_path / "engine.log", step_s=0.01)
    try:
        await to_thread.run_sync(engine.wait_ready)
        async with live_server(valkey.url, allowance=FREE) as server:
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
