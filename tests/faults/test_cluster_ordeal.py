"""Many editors on a Valkey Cluster whose slots move and whose masters die: nothing acknowledged is lost (C7, C10)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import anyio
import pytest
from anyio import to_thread
from redis.crc import key_slot

from nanobana.keyspace.keys import CanvasKeys
from nanobana.protocol import messages as m
from nanobana_server.store import Store, open_store
from support import truth
from support.cluster import cluster_url, home_of, move_slot, private_cluster, wait_well
from support.engine_process import EngineProcess
from support.live_server import FREE, Links, LiveServer, live_server
from support.members import RawMember, member
from support.ordeal import edits_end
from support.restless import SIDE, Restless, have_done
from support.valkey import PrivateValkey

pytestmark = [pytest.mark.faults, pytest.mark.cluster, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def nodes() -> Iterator[list[PrivateValkey]]:
    with private_cluster(fsync="always", node_timeout_ms=1500) as nodes:
        yield nodes


@pytest.fixture(scope="module")
async def store(anyio_backend: object, nodes: list[PrivateValkey]) -> AsyncIterator[Store]:
    store = await open_store(cluster_url(nodes[0]))
    yield store
    await store.aclose()


@pytest.fixture(scope="module")
async def servers(
    nodes: list[PrivateValkey], store: Store, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[list[LiveServer]]:
    engine = EngineProcess(cluster_url(nodes[1]), tmp_path_factory.mktemp("cluster") / "engine.log", step_s=0.01)
    try:
        await to_thread.run_sync(engine.wait_ready)
        async with (
            live_server(cluster_url(nodes[0]), allowance=FREE) as one,
            live_server(cluster_url(nodes[2]), allowance=FREE) as two,
        ):
            yield [one, two]
    finally:
        engine.kill()


def slot_of(canvas: str) -> int:
    return key_slot(CanvasKeys(canvas).meta.encode())


async def trouble(nodes: list[PrivateValkey], canvas: str, people: list[Restless]) -> None:
    """While they work the canvas's slot moves twice, and the master that has it is killed and comes back."""
    slot = slot_of(canvas)
    for ops in (40, 80):
        await have_done(people, ops)
        home = home_of(nodes, slot)
        await to_thread.run_sync(move_slot, nodes, slot, next(node for node in nodes if node is not home))
    await have_done(people, 120)
    home = home_of(nodes, slot)
    home.kill()
    await anyio.sleep(0.5)
    home.start()


async def test_c10_slots_move_and_a_master_dies_and_every_acknowledged_op_is_there(
    nodes: list[PrivateValkey], servers: list[LiveServer], store: Store
) -> None:
    made = (await servers[0].new_canvas(SIDE, SIDE)).edit
    start = await store.manifest(made.canvas)
    doors = [type(made)(server.origin, made.canvas, made.secret) for server in servers]
    people = [Restless(f"c{n}", doors, 3, steps=60) for n in range(4)]
    goal: list[int] = []
    async with anyio.create_task_group() as editing:
        for person in people:
            editing.start_soon(person.run, lambda who: bool(goal) and who.replica.position.seq >= goal[0])
        await trouble(nodes, made.canvas, people)
        while not all(person.is_done for person in people):  # noqa: ASYNC110 - no event is common to them
            await anyio.sleep(0.05)
        goal.append((await edits_end(store, made.canvas)).position.seq)
    manifest, log = await store.manifest(made.canvas), await truth.whole_log(store, made.canvas)
    truth.check_log(log)
    there = truth.same(manifest).digest()
    assert truth.replayed(start, log).digest() == there
    for person in people:
        assert person.replica.digest() == there
        truth.check_answers(log, person.record.acked, person.record.refused)
    await truth.check_blobs(store, made.canvas, manifest)


async def _on(server: LiveServer, nodes: list[PrivateValkey], *homes: PrivateValkey) -> Links:
    """A canvas of one of these masters."""
    while True:
        links = await server.new_canvas()
        if home_of(nodes, slot_of(links.edit.canvas)) in homes:
            return links


async def insist(who: RawMember, op: m.Op) -> None:
    """As a page does: what is refused for the moment goes again. The client asks all nodes anew when one dies."""
    with anyio.fail_after(20):
        await who.send(op)
        while isinstance(answer := await who.answer(op.op), m.Reject):
            assert answer.retry_ms is not None
            await anyio.sleep(answer.retry_ms / 1000)
            await who.send(op)


@pytest.mark.parametrize("which", range(3))
async def test_c7_while_a_master_is_dead_the_canvases_of_the_others_go_on(
    nodes: list[PrivateValkey], servers: list[LiveServer], which: int
) -> None:
    await to_thread.run_sync(wait_well, nodes)
    home = nodes[which]
    links = await _on(servers[0], nodes, home)
    others = await _on(servers[0], nodes, *(node for node in nodes if node is not home))
    async with member(links.edit) as (ana, _), member(others.edit) as (ben, _):
        home.kill()
        try:
            lost = m.LayerAdd(op=ana.op(), layer="sky", name="sky")
            await ana.send(lost)
            for n in range(2):
                await insist(ben, m.LayerAdd(op=ben.op(), layer=f"l{n}", name="l"))
        finally:
            home.start()
        await insist(ana, lost)
