"""Many editors, several servers, bad networks and a real engine: whatever happens, everybody ends with the same canvas.

After every quiet point all replicas are equal, equal to the store, and equal to the log replayed from nothing; every
acknowledged op stands in the log where it was said to stand, and no edit is left hanging.
"""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from urllib.parse import urlsplit

import anyio
import pytest
from anyio import to_thread

from nanobana.protocol.canvas import Manifest
from nanobana.sdk.link import Link
from nanobana_server.room.pace import Pace
from nanobana_server.store import Store, open_store
from nanobana_server.store.cellar import Cellar
from support import truth
from support.engine_process import EngineProcess
from support.live_server import FREE, LiveServer, live_server
from support.ordeal import edits_end
from support.proxy import Link as Faulty
from support.proxy import faulty_link
from support.restless import SIDE, Restless, have_done
from support.valkey import PrivateValkey, private_valkey

PEOPLE = 8
TIGHT = Pace(ring_entries=40, conflate_above=12, resume_entries=120, frame_bytes=4000)
"""So small that every way of catching up is taken."""


@pytest.fixture(scope="module")
def valkey() -> Iterator[PrivateValkey]:
    with private_valkey(fsync="no", tcp=True) as running:
        yield running


@pytest.fixture(scope="module")
async def way_to_store(anyio_backend: object, valkey: PrivateValkey) -> AsyncIterator[Faulty]:
    """The link by which one of two servers and the engine reach the store."""
    async with faulty_link(valkey.port, seed=99) as link:
        yield link


@pytest.fixture(scope="module")
async def servers(
    valkey: PrivateValkey, way_to_store: Faulty, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[list[LiveServer]]:
    bad, log = f"redis://127.0.0.1:{way_to_store.port}/0", tmp_path_factory.mktemp("fuzz") / "engine.log"
    engine = EngineProcess(bad, log, step_s=0.005)
    try:
        await to_thread.run_sync(engine.wait_ready)
        async with (
            live_server(valkey.url, pace=TIGHT, allowance=FREE) as one,
            live_server(bad, allowance=FREE) as two,
        ):
            yield [one, two]
    finally:
        engine.kill()


@pytest.fixture(scope="module")
async def store(
    anyio_backend: object, valkey: PrivateValkey, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Store]:
    cellar = await anyio.to_thread.run_sync(Cellar, str(tmp_path_factory.mktemp("cellar")))
    store = await open_store(valkey.url, cellar=cellar)
    yield store
    await store.aclose()


async def live_together(
    servers: list[LiveServer], way_to_store: Faulty, store: Store, seed: int, steps: int
) -> list[Restless]:
    """Everybody edits until done; returns them at the quiet point, checked."""
    made = (await servers[0].new_canvas(SIDE, SIDE)).edit
    start = await store.manifest(made.canvas)
    async with AsyncExitStack() as stack:
        links = [
            await stack.enter_async_context(faulty_link(urlsplit(server.origin).port or 0, seed * 10 + n))
            for n, server in enumerate(servers)
        ]
        doors = [Link(link.origin, made.canvas, made.secret) for link in links]
        people = [Restless(f"p{n}", doors, seed, steps) for n in range(PEOPLE)]
        goal: list[int] = []
        async with anyio.create_task_group() as editing:
            for person in people:
                editing.start_soon(person.run, lambda who: bool(goal) and who.replica.position.seq >= goal[0])
            async with anyio.create_task_group() as trouble:
                for link in links:
                    trouble.start_soon(link.misbehave, 1.0)
                trouble.start_soon(way_to_store.misbehave, 2.0)
                trouble.start_soon(keep_tidy, store, made.canvas)
                await have_done(people, PEOPLE * steps // 4)
                for link in (*links, way_to_store):  # one in the midst of it for sure, however quick they are
                    link.cut()
                while not all(person.is_done for person in people):  # noqa: ASYNC110 - no event is common to them
                    await anyio.sleep(0.05)
                trouble.cancel_scope.cancel()
            for link in (*links, way_to_store):
                link.delay_s = 0.0
            goal.append((await edits_end(store, made.canvas)).position.seq)
    await check(store, made.canvas, start, people)
    return people


async def keep_tidy(store: Store, canvas: str) -> None:
    """Upkeep in the midst of it, far more eager than it ever is (C8)."""
    while True:
        await store.archive_log(canvas, kept_ms=0, chapter=16)
        await store.release_blobs(canvas, grace_ms=0)
        await anyio.sleep(0.1)


async def check(store: Store, canvas: str, start: Manifest, people: list[Restless]) -> None:
    """All that is said at the top of this file."""
    manifest, log = await store.manifest(canvas), await truth.whole_log(store, canvas)
    truth.check_log(log)
    there = truth.same(manifest).digest()
    assert truth.replayed(start, log).digest() == there, "the log does not lead to the manifest"
    for person in people:
        assert person.replica.digest() == there, f"{person.name} has another canvas"
        truth.check_answers(log, person.record.acked, person.record.refused)
    await truth.check_blobs(store, canvas, manifest)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("seed", [1, 2])
async def test_c11_whatever_people_and_networks_do_everybody_ends_with_the_same_canvas(
    servers: list[LiveServer], way_to_store: Faulty, store: Store, seed: int
) -> None:
    people = await live_together(servers, way_to_store, store, seed, steps=150)
    assert sum(len(person.record.acked) for person in people) > 400
    assert sum(person.record.resends for person in people) > 0
    assert way_to_store.cuts > 0


@pytest.mark.soak
@pytest.mark.timeout(7200)
async def test_c11_a_hundred_thousand_ops_lose_nothing_and_part_nobody(
    servers: list[LiveServer], way_to_store: Faulty, store: Store
) -> None:
    acked = 0
    for seed in itertools.count(100):
        people = await live_together(servers, way_to_store, store, seed, steps=250)
        acked += sum(len(person.record.acked) for person in people)
        if acked >= 100_000:
            return
