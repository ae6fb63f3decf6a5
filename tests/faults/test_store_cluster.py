"""A cluster that loses a node for a while, and one that moves a slot: nothing acknowledged is lost (C7, R9)."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Iterator

import anyio
import pytest
from redis.crc import key_slot

from nanobana.keyspace.keys import CanvasKeys
from nanobana.protocol.errors import Unavailable
from nanobana.protocol.geometry import Box
from nanobana_server.store import Store, open_store
from nanobana_server.store.types import Bell, Committed, Heard, Reconnected
from support.cluster import cluster_url, home_of, move_slot, private_cluster
from support.strokes import RED, Easel
from support.valkey import PrivateValkey

pytestmark = [pytest.mark.faults, pytest.mark.cluster, pytest.mark.timeout(240)]


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def nodes() -> Iterator[list[PrivateValkey]]:
    with private_cluster(fsync="always", node_timeout_ms=1500) as nodes:
        yield nodes


@pytest.fixture
async def store(nodes: list[PrivateValkey]) -> AsyncIterator[Store]:
    store = await open_store(cluster_url(nodes[0]))
    yield store
    await store.aclose()


async def painted(easel: Easel, x: int) -> Committed:
    """A stroke that is repeated until the store is there again, as a client does."""
    with anyio.fail_after(30):
        while True:
            try:
                return await easel.paint("ana", Box(x, 0, x + 10, 10), RED)
            except Unavailable as error:
                await anyio.sleep((error.retry_ms or 100) / 1000)


async def hears_again(heard: AsyncGenerator[Heard], easel: Easel) -> Committed:
    """Until the subscription stands again and a bell comes through; it may be made anew more than once."""
    with anyio.fail_after(60):
        while await anext(heard) != Reconnected():
            pass
        while True:
            done = await painted(easel, 20)
            while (message := await anext(heard)) not in (Bell(done.seq), Reconnected()):
                pass
            if message == Bell(done.seq):
                return done


async def test_c10_a_node_killed_and_restarted_has_kept_its_canvases(nodes: list[PrivateValkey], store: Store) -> None:
    easel = await Easel.new(store)
    home = home_of(nodes, key_slot(CanvasKeys(easel.id).meta.encode()))
    await easel.paint("ana", Box(0, 0, 10, 10), RED)
    before = await easel.look()
    heard = store.subscribe(easel.id)
    assert await anext(heard) == Reconnected()
    home.kill()
    with pytest.raises(Unavailable):
        await easel.look()
    home.start()
    await hears_again(heard, easel)
    await heard.aclose()
    before[1].update(await easel.names())
    assert await easel.look() == before
    assert await easel.pixel(5, 5) == RED


async def test_r9_a_slot_that_moves_takes_its_readers_and_writers_along(
    nodes: list[PrivateValkey], store: Store
) -> None:
    easel = await Easel.new(store)
    slot = key_slot(CanvasKeys(easel.id).meta.encode())
    source = home_of(nodes, slot)
    target = next(node for node in nodes if node is not source)
    await easel.paint("ana", Box(0, 0, 10, 10), RED)
    heard = store.subscribe(easel.id)
    assert await anext(heard) == Reconnected()
    move_slot(nodes, slot, target)
    done = await hears_again(heard, easel)
    await heard.aclose()
    assert [change.seq for change in await easel.log()] == list(range(1, done.seq + 1))
    assert await easel.pixel(5, 5) == RED
    assert await easel.pixel(25, 5) == RED
