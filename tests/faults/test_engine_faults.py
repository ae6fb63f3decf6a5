"""Engines that die, drain, are cancelled or lose the store: exactly one result each time (E8, J2, J4)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import numpy as np
import psutil
import pytest

from nanobana.keyspace.claims import engines
from nanobana.keyspace.keys import CanvasKeys, FamilyKeys
from nanobana.protocol.canvas import Job, OpId
from nanobana.protocol.errors import BadInput, NanobanaError
from nanobana.protocol.geometry import Box
from nanobana.protocol.messages import Cancel, Edit, Preview
from nanobana.protocol.parameters import EditParams
from nanobana.raster.codec import encode_png
from nanobana.raster.decode import decode_patch
from nanobana_server import jobs
from nanobana_server.jobs.records import read_job
from nanobana_server.jobs.served import look
from nanobana_server.room.relay import opened
from nanobana_server.store import Store, open_store
from nanobana_server.store.ops import import_image
from nanobana_server.store.types import Author
from support.cluster import cluster_url, private_cluster
from support.edits import photo
from support.engine_process import PYTHONPATH, READY, EngineProcess, running_engine
from support.valkey import PrivateValkey, private_valkey
from support.work import all_acknowledged

pytestmark = [pytest.mark.anyio, pytest.mark.faults, pytest.mark.timeout(240)]

SIZE = 320
BOX = Box(100, 100, 200, 180)
ANA = Author(user="ana")


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def valkey() -> Iterator[PrivateValkey]:
    with private_valkey() as running:
        yield running


@asynccontextmanager
async def room(valkey: PrivateValkey | str) -> AsyncIterator[Store]:
    """A store with a canvas ``c`` that has a picture, and a server's result and sweep loops beside it."""
    store = await open_store(valkey if isinstance(valkey, str) else valkey.url)
    await store.create_canvas("c")
    await import_image(store, "c", "ana", OpId("ana", 1), encode_png(photo(SIZE, SIZE)), layer="photo")
    try:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(jobs.run_results, store, "srv")
            tasks.start_soon(jobs.run_sweeper, store, 0.2)
            yield store
            tasks.cancel_scope.cancel()
    finally:
        await store.aclose()


def stopped(engine: EngineProcess, job: str, why: str) -> bool:
    """Whether an engine's log says that it stopped a job for that reason."""
    lines = (json.loads(line) for line in engine.text().splitlines() if line.startswith("{"))
    return any((line["event"], line.get("job"), line.get("why")) == ("job stopped", job, why) for line in lines)


async def generate(store: Store, n: int, *, quality: str = "balanced", mode: str = "fill", box: Box = BOX) -> str:
    mask = encode_png(np.full((box.height, box.width), 255, np.uint8))
    edit = EditParams(box=box, mask_png=mask, quality=quality, mode=mode, seed=1)  # type: ignore[arg-type]
    await jobs.submit(store, "c", ANA, Edit(op=OpId("ana", n), edit=edit))
    return f"ana-{n}"


async def job_until(store: Store, job: str, is_so: Callable[[Job, str, int], bool], timeout: float = 30.0) -> Job:
    """The job's public record once its record satisfies the condition (job, state, attempt)."""
    deadline = time.monotonic() + timeout
    seen = "not read"
    while True:
        try:
            kept = await read_job(store, "c", job)
            if is_so(kept.job, kept.state, kept.attempt):
                return kept.job
            seen = f"{kept.state}, attempt {kept.attempt}"
        except NanobanaError as error:
            seen = error.code
        assert time.monotonic() < deadline, f"{job} is {seen}"
        await anyio.sleep(0.02)


async def staged(store: Store, job: str, timeout: float = 40.0) -> Job:
    return await job_until(store, job, lambda _job, state, _n: state == "staged", timeout)


async def results_of(store: Store, job: str) -> int:
    """Durable changes that staged the job."""
    manifest = await store.manifest("c")
    return sum(1 for each in manifest.jobs if each.id == job and each.state == "staged")


async def heard_by_now(channel: Any) -> list[Preview]:
    """The previews that a subscription has got so far."""
    heard: list[Preview] = []
    while message := await channel.get_message(timeout=0.2):
        if message["type"] == "smessage":
            heard += [each for each in opened(message["data"][16:]) if isinstance(each, Preview)]
    return heard


async def test_a_job_comes_back_as_a_patch_with_previews_on_the_way(valkey: PrivateValkey, tmp_path: Path) -> None:
    async with room(valkey) as store:
        with running_engine(valkey.url, tmp_path / "log", step_s=0.3):
            async with store.client.sharded_channels(CanvasKeys("c").volatile) as channel:
                job = await staged(store, await generate(store, 2))
                heard = await heard_by_now(channel)
            assert job.result_box is not None
            assert job.timing is not None
            (variation,) = job.results
            patch = decode_patch(await store.get_blob("c", variation.blob), job.result_box)
            inside = patch[BOX.y0 - job.result_box.y0 + 20, BOX.x0 - job.result_box.x0 + 20]
            assert np.abs(inside.astype(int) - (230, 26, 26, 255)).max() <= 4
            pictures = [each for each in heard if each.jpeg]
            assert len(pictures) >= 2
            assert pictures[0].alpha
            assert not any(each.alpha for each in pictures[1:])
            assert pictures[-1].step == 3, "after the last step the patch itself is on its way"
            assert {each.of for each in pictures} == {4}


async def test_e8_a_killed_engines_job_is_finished_by_another_with_exactly_one_result(
    valkey: PrivateValkey, tmp_path: Path
) -> None:
    async with room(valkey) as store:
        with running_engine(valkey.url, tmp_path / "one", step_s=4.0) as one:
            job = await generate(store, 2)
            await job_until(store, job, lambda _job, state, _n: state == "running")
            await anyio.sleep(0.6)
            one.kill()
        with running_engine(valkey.url, tmp_path / "two"):
            await staged(store, job)
            kept = await read_job(store, "c", job)
            assert kept.attempt >= 2, "one more for each time that the lease ran out on a busy machine"
            assert await results_of(store, job) == 1
            await all_acknowledged(store)


async def test_e8_an_edit_at_which_engines_died_alone_three_times_fails_for_good(
    valkey: PrivateValkey, tmp_path: Path
) -> None:
    async with room(valkey) as store:
        job = await generate(store, 2)
        await store.client.call("HSET", CanvasKeys("c").job(job), "attempt", 4)
        with running_engine(valkey.url, tmp_path / "log"):
            failed = await job_until(store, job, lambda _job, state, _n: state == "failed")
        assert failed.error_code == "engine_died"
        assert "Nothing was changed" in failed.error


async def test_e8_cancel_stops_the_job_within_a_step(valkey: PrivateValkey, tmp_path: Path) -> None:
    async with room(valkey) as store:
        with running_engine(valkey.url, tmp_path / "log", step_s=1.0) as engine:
            async with store.client.sharded_channels(CanvasKeys("c").volatile) as channel:
                job = await generate(store, 2, quality="best")
                await job_until(store, job, lambda _job, state, _n: state == "running")
                await jobs.cancel(store, "c", ANA, Cancel(op=OpId("ana", 3), job=job))
                with anyio.fail_after(20):
                    while not stopped(engine, job, "cancelled"):  # noqa: ASYNC110 - another process
                        await anyio.sleep(0.01)
                assert max(each.step for each in await heard_by_now(channel)) <= 2, "of six"
            assert (await read_job(store, "c", job)).state == "cancelled"
            await staged(store, await generate(store, 4))


async def test_e7_a_newer_edit_on_the_region_supersedes_the_running_one(valkey: PrivateValkey, tmp_path: Path) -> None:
    async with room(valkey) as store:
        with running_engine(valkey.url, tmp_path / "log", step_s=0.6) as engine:
            old = await generate(store, 2, quality="best")
            await job_until(store, old, lambda _job, state, _n: state == "running")
            await staged(store, await generate(store, 3))
            assert (await read_job(store, "c", old)).state == "superseded"
            assert stopped(engine, old, "superseded")


async def test_j2_a_worker_that_lost_its_lease_hands_in_nothing_and_leaves_the_ticket(
    valkey: PrivateValkey, tmp_path: Path
) -> None:
    async with room(valkey) as store:
        with running_engine(valkey.url, tmp_path / "log", step_s=0.8) as engine:
            job = await generate(store, 2)
            await job_until(store, job, lambda _job, state, _n: state == "running")
            await store.client.call("HINCRBY", CanvasKeys("c").job(job), "attempt", 1)
            await staged(store, job)
            assert (await read_job(store, "c", job)).attempt >= 3
            assert stopped(engine, job, "stale")
            assert engine.text().count("job handed in") == 1


async def test_j4_sigterm_finishes_what_is_in_hand_and_takes_its_leave(valkey: PrivateValkey, tmp_path: Path) -> None:
    async with room(valkey) as store:
        with running_engine(valkey.url, tmp_path / "log", step_s=0.3) as engine:
            job = await generate(store, 2)
            await job_until(store, job, lambda _job, state, _n: state == "running")
            assert engine.stop() == 0
            await staged(store, job)
            assert await engines(store.client, FamilyKeys()) == []


async def test_j4_what_a_drain_cannot_finish_is_given_back(valkey: PrivateValkey, tmp_path: Path) -> None:
    async with room(valkey) as store:
        with running_engine(valkey.url, tmp_path / "slow", step_s=4.0) as slow:
            job = await generate(store, 2)
            await job_until(store, job, lambda _job, state, _n: state == "running")
            assert slow.stop() == 0
        with running_engine(valkey.url, tmp_path / "quick"):
            await staged(store, job)


async def test_e8_a_killed_store_loses_no_job_and_no_engine(valkey: PrivateValkey, tmp_path: Path) -> None:
    async with room(valkey) as store:
        with running_engine(valkey.url, tmp_path / "log", step_s=0.4) as engine:
            job = await generate(store, 2)
            await job_until(store, job, lambda _job, state, _n: state == "running")
            valkey.kill()
            await anyio.sleep(2.0)
            valkey.start()
            await staged(store, job)
            assert engine.process.poll() is None
            assert await results_of(store, job) == 1


async def test_j1_an_edit_for_a_model_that_nobody_serves_is_refused(valkey: PrivateValkey, tmp_path: Path) -> None:
    async with room(valkey) as store:
        with running_engine(valkey.url, tmp_path / "log"):
            with anyio.fail_after(20):
                while not (await look(store)).count:  # noqa: ASYNC110 - it says so once it takes work
                    await anyio.sleep(0.01)
            edit = EditParams(box=BOX, mask_png=encode_png(np.full((80, 100), 255, np.uint8)), model="other")
            with pytest.raises(BadInput, match="other") as refused:
                await jobs.submit(store, "c", ANA, Edit(op=OpId("ana", 2), edit=edit))
            assert refused.value.code == "model_away"
            assert "test" in str(refused.value), "it says what can be chosen"


@pytest.mark.cluster
async def test_c7_the_same_worker_serves_a_cluster_and_takes_over_there(tmp_path: Path) -> None:
    with private_cluster() as nodes:
        url = cluster_url(nodes[0])
        async with room(url) as store:
            with running_engine(url, tmp_path / "one", step_s=0.5) as one:
                job = await generate(store, 2)
                await job_until(store, job, lambda _job, state, _n: state == "running")
                one.kill()
            with running_engine(url, tmp_path / "two"):
                await staged(store, job)
                await staged(store, await generate(store, 3, mode="erase", box=Box(10, 10, 30, 30)))


async def test_erase_goes_the_same_way(valkey: PrivateValkey, tmp_path: Path) -> None:
    async with room(valkey) as store:
        with running_engine(valkey.url, tmp_path / "log"):
            job = await staged(store, await generate(store, 2, mode="erase", box=Box(140, 140, 170, 170)))
            assert len(job.results) == 1


def test_j4_an_engine_dies_with_its_parent(valkey: PrivateValkey, tmp_path: Path) -> None:
    log = tmp_path / "log"
    script = (
        "import pathlib, time; from support.engine_process import EngineProcess;"
        f"print(EngineProcess({valkey.url!r}, pathlib.Path({str(log)!r})).process.pid, flush=True); time.sleep(60)"
    )
    environment = {**os.environ, "PYTHONPATH": PYTHONPATH}
    with subprocess.Popen([sys.executable, "-c", script], env=environment, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        engine = psutil.Process(int(parent.stdout.readline()))
        deadline = time.monotonic() + 20
        while not (log.exists() and READY in log.read_text()) and time.monotonic() < deadline:
            time.sleep(0.02)
        parent.kill()
    gone, _ = psutil.wait_procs([engine], timeout=20)
    assert gone
