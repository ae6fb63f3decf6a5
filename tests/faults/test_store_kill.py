"""Valkey killed with -9 in the middle of the work: what was acknowledged is there again, once (C4, C6, C10)."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator, Iterator

import anyio
import msgspec
import pytest

from nanobana.keyspace import claims
from nanobana.protocol.canvas import Change, OpId
from nanobana.protocol.errors import Unavailable
from nanobana.protocol.geometry import Box
from nanobana.protocol.jobs import JobResult
from nanobana_server import jobs
from nanobana_server.store import Store, open_store, ops
from nanobana_server.store.types import Bell, Commit, Reconnected
from support.strokes import RED, Easel, author
from support.valkey import PrivateValkey, private_valkey

pytestmark = [pytest.mark.faults, pytest.mark.timeout(180)]


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def valkey() -> Iterator[PrivateValkey]:
    with private_valkey(fsync="always") as valkey:
        yield valkey


@pytest.fixture
async def store(valkey: PrivateValkey) -> AsyncIterator[Store]:
    store = await open_store(valkey.url)
    yield store
    await store.aclose()


async def test_c10_what_was_acknowledged_survives_kill_9_and_is_there_once(valkey: PrivateValkey, store: Store) -> None:
    easel = await Easel.new(store)
    acknowledged: dict[OpId, int] = {}
    stop = anyio.Event()

    async def client(user: str) -> None:
        while not stop.is_set():
            op = easel.op(user)
            while op not in acknowledged:
                try:
                    done = await store.commit(easel.id, Commit(op=op, user=user, kind="paint"))
                except Unavailable:
                    await anyio.sleep(0.01)
                else:
                    acknowledged[op] = done.seq

    async with anyio.create_task_group() as group:
        for n in range(4):
            group.start_soon(client, f"u{n}")
        for _ in range(4):
            before = len(acknowledged)
            while len(acknowledged) < before + 100:  # noqa: ASYNC110 - the next kill is due in the midst of traffic
                await anyio.sleep(0.002)
            valkey.kill()
            await anyio.sleep(0.05)
            valkey.start()
        stop.set()
    entries: list[tuple[int, bytes]] = []
    while len(tail := await store.read_tail(easel.id, len(entries))):
        entries += tail
    log = {seq: msgspec.msgpack.decode(data, type=Change).op for seq, data in entries}
    assert {seq: op for op, seq in acknowledged.items()} == log
    assert (await store.position(easel.id)).seq == len(log)


async def test_c4_a_position_holds_over_a_restart_of_the_store(valkey: PrivateValkey, store: Store) -> None:
    easel = await Easel.new(store)
    await easel.paint("ana", Box(0, 0, 10, 10))
    position = await store.position(easel.id)
    before = await easel.look()
    valkey.kill()
    valkey.start()
    assert await store.log_after(easel.id, position) == []
    assert await easel.look() == before
    assert await easel.pixel(5, 5) == RED


async def test_r9_a_subscription_comes_back_and_says_so(valkey: PrivateValkey, store: Store) -> None:
    easel = await Easel.new(store)
    heard = store.subscribe(easel.id)
    assert await anext(heard) == Reconnected()
    valkey.kill()
    valkey.start()
    with anyio.fail_after(10):
        assert await anext(heard) == Reconnected()
        done = await easel.paint("ana", Box(0, 0, 10, 10))
        assert await anext(heard) == Bell(done.seq)
    await heard.aclose()


async def test_r9_a_store_that_hangs_is_noticed_by_its_listeners(valkey: PrivateValkey, store: Store) -> None:
    easel = await Easel.new(store)
    store.ping_s = 0.1
    heard = store.subscribe(easel.id)
    assert await anext(heard) == Reconnected()

    async def hang() -> None:
        os.kill(valkey.pid, signal.SIGSTOP)
        for _ in range(20):  # turns of the loop, so that the listener has had its own between them on a busy machine
            await anyio.sleep(0.05)
        store.ping_s = 10.0
        os.kill(valkey.pid, signal.SIGCONT)

    async with anyio.create_task_group() as group:
        group.start_soon(hang)
        with anyio.fail_after(30):
            assert await anext(heard) == Reconnected()
    done = await easel.paint("ana", Box(0, 0, 10, 10))
    assert await anext(heard) == Bell(done.seq)
    await heard.aclose()


async def test_an_absent_store_is_unavailable_with_a_hint_when_to_come_back(
    valkey: PrivateValkey, store: Store
) -> None:
    easel = await Easel.new(store)
    stroke = easel.stroke("ana", Box(0, 0, 10, 10))
    valkey.kill()
    for attempt in (store.manifest(easel.id), ops.paint(store, easel.id, "ana", stroke), open_store(valkey.url)):
        with pytest.raises(Unavailable) as refusal:
            await attempt
        assert refusal.value.retry_ms
    valkey.start()
    await ops.paint(store, easel.id, "ana", stroke)
    assert await easel.pixel(5, 5) == RED


async def test_j3_results_are_taken_again_after_the_store_came_back(valkey: PrivateValkey, store: Store) -> None:
    easel = await Easel.new(store)
    async with anyio.create_task_group() as group:
        group.start_soon(jobs.run_results, store, "server-a")
        message = easel.edit("ana", Box(0, 0, 50, 50))
        await jobs.submit(store, easel.id, author(), message)
        job = f"{message.op.client}-{message.op.n}"
        claim = await claims.claim(store.client, easel.id, job, "w", 10_000)
        assert isinstance(claim, claims.Claim)
        valkey.kill()
        await anyio.sleep(0.1)
        valkey.start()
        result = JobResult(canvas=easel.id, job=job, attempt=claim.attempt, worker="w", error_code="oom", error="Big.")
        await claims.hand_in(store.client, result)
        with anyio.fail_after(10):
            while (await easel.manifest()).jobs:  # noqa: ASYNC110 - as a member sees it
                await anyio.sleep(0.01)
        group.cancel_scope.cancel()
    assert [change.job.state for change in await easel.log() if change.job] == ["queued", "failed"]


async def test_c12_a_store_without_memory_refuses_new_bytes_and_lets_undo_go_on(store: Store) -> None:
    easel = await Easel.new(store)
    await easel.paint("ana", Box(0, 0, 10, 10))
    await store.client.call("CONFIG", "SET", "maxmemory", 1)
    with pytest.raises(Exception, match="memory") as refusal:
        await easel.paint("ana", Box(20, 20, 30, 30), (1, 2, 3, 255))
    assert getattr(refusal.value, "code", "") == "storage_full"
    await easel.undo("ana")
    assert (await easel.pixel(5, 5))[3] == 0
    await easel.redo("ana")
    assert await easel.pixel(5, 5) == RED
