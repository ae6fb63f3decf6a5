"""Results as servers take them: one effect whatever is repeated, and whoever dies (J2, J3)."""

from functools import partial

import anyio
import msgspec
import pytest

from nanobana.keyspace import claims
from nanobana.keyspace.keys import RESULTS
from nanobana.protocol.canvas import Cost, Variation
from nanobana.protocol.geometry import Box
from nanobana.protocol.jobs import JobResult
from nanobana_server import jobs
from nanobana_server.jobs.records import read_job
from nanobana_server.jobs.results import stage
from nanobana_server.metrics import Metrics
from nanobana_server.store import Store
from support.strokes import Easel
from support.work import (
    BOX,
    all_acknowledged,
    queued,
    result_of,
    states,
    taken,
)

pytestmark = pytest.mark.usefixtures("queue_is_empty")


async def test_j2_a_result_handed_in_twice_has_one_effect(easel: Easel) -> None:
    job = await queued(easel)
    result = await result_of(easel, job, (await taken(easel, job)).attempt)
    outcomes: list[object] = []

    async def hand_in() -> None:
        outcomes.append(await stage(easel.store, result))

    async with anyio.create_task_group() as group:
        for _ in range(5):
            group.start_soon(hand_in)
    assert sum(outcome is not None for outcome in outcomes) == 1
    assert [state for _job, state in await states(easel)] == ["queued", "staged"]


async def test_j3_any_server_takes_the_result_and_acknowledges_it(store: Store, easel: Easel) -> None:
    job = await queued(easel)
    result = await result_of(easel, job, (await taken(easel, job)).attempt)
    await claims.hand_in(store.client, result)
    await claims.hand_in(store.client, result)
    async with anyio.create_task_group() as group:
        group.start_soon(jobs.run_results, store, "server-b")
        await all_acknowledged(store)
        group.cancel_scope.cancel()
    assert await states(easel) == [(job, "queued"), (job, "staged")]


async def test_e9_what_an_edit_recomputed_is_kept_with_it_and_counted_once(store: Store, easel: Easel) -> None:
    metrics, cost = Metrics(), Cost(cells=12, cells_of=100, tiles=2, tiles_of=16, saved_ms=1400.0)
    for known in (cost, msgspec.structs.replace(cost, saved_ms=None)):
        job = await queued(easel)
        result = await result_of(easel, job, (await taken(easel, job)).attempt)
        result = msgspec.structs.replace(result, cost=known)
        await claims.hand_in(store.client, result)
        await claims.hand_in(store.client, result)
        async with anyio.create_task_group() as group:
            group.start_soon(partial(jobs.run_results, store, "server-b", staged=metrics.note_edit))
            await all_acknowledged(store)
            group.cancel_scope.cancel()
        assert (await read_job(store, easel.id, job)).job.cost == known
    figures = metrics.exposition().decode()
    assert "nanobana_edit_recomputed_ratio_sum 0.24" in figures
    assert "nanobana_edit_tiles_ratio_sum 0.25" in figures
    assert "nanobana_edit_saved_seconds_count 1.0" in figures, "what is not known is not counted"
    assert "nanobana_edit_saved_seconds_sum 1.4" in figures


async def test_j3_what_a_dead_server_took_is_taken_over_after_its_restart(store: Store, easel: Easel) -> None:
    job = await queued(easel)
    result = await result_of(easel, job, (await taken(easel, job)).attempt)
    await claims.hand_in(store.client, result)
    await store.client.call("XGROUP", "CREATE", RESULTS, "servers", "0", "MKSTREAM")
    await store.client.call("XREADGROUP", "GROUP", "servers", "server-a", "STREAMS", RESULTS, ">")
    async with anyio.create_task_group() as group:
        group.start_soon(jobs.run_results, store, "server-a")
        await all_acknowledged(store)
        group.cancel_scope.cancel()
    assert (await states(easel))[-1] == (job, "staged")


async def test_j3_two_servers_share_the_results_and_stage_each_once(store: Store, easel: Easel) -> None:
    ids = [await queued(easel, f"u{n}", Box(n * 60, 0, n * 60 + 50, 50)) for n in range(12)]
    for n, job in enumerate(ids):
        result = await result_of(easel, job, (await taken(easel, job)).attempt, Box(n * 60, 0, n * 60 + 50, 50))
        await claims.hand_in(store.client, result)
        await claims.hand_in(store.client, result)
    async with anyio.create_task_group() as group:
        for server in ("server-a", "server-b"):
            group.start_soon(jobs.run_results, store, server)
        await all_acknowledged(store)
        group.cancel_scope.cancel()
    assert sorted(job for job, state in await states(easel) if state == "staged") == sorted(ids)


async def test_a_failed_job_is_a_change_with_a_sentence(easel: Easel) -> None:
    job = await queued(easel)
    claim = await taken(easel, job)
    failed = JobResult(canvas=easel.id, job=job, attempt=claim.attempt, worker="w", error_code="oom", error="Too big.")
    await stage(easel.store, failed)
    last = (await easel.log())[-1].job
    assert last is not None
    assert (last.state, last.error_code, last.error) == ("failed", "oom", "Too big.")
    assert (await easel.manifest()).jobs == []


async def test_a_result_whose_pixels_are_missing_fails_readably(easel: Easel) -> None:
    job = await queued(easel)
    claim = await taken(easel, job)
    lost = [Variation(blob="0" * 32, seed=1)]
    await stage(
        easel.store, JobResult(canvas=easel.id, job=job, attempt=claim.attempt, worker="w", box=BOX, variations=lost)
    )
    last = (await easel.log())[-1].job
    assert last is not None
    assert (last.state, last.error_code) == ("failed", "result_lost")
