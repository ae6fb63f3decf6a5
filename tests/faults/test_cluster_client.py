"""One master of a cluster is dead: who asks for its keys is told so, and nobody else notices (C7)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import anyio
import pytest
from redis.crc import key_slot

from nanobana.keyspace.client import Client
from nanobana.protocol.errors import Unavailable
from support.cluster import cluster_url, home_of, private_cluster
from support.valkey import PrivateValkey

pytestmark = [pytest.mark.faults, pytest.mark.cluster, pytest.mark.timeout(120)]

ROUNDS = 8
AT_ONCE = 6
"""Tasks that ask the same node."""


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def nodes() -> Iterator[list[PrivateValkey]]:
    with private_cluster(node_timeout_ms=30_000) as nodes:  # nobody is voted dead: there are only connections that fail
        yield nodes


@pytest.fixture
async def client(nodes: list[PrivateValkey]) -> AsyncIterator[Client]:
    client = Client(cluster_url(nodes[0]))
    yield client
    await client.aclose()


def key_on(nodes: list[PrivateValkey], home: PrivateValkey) -> str:
    """A key of ours that lies on this node."""
    keys = (f"nb:{{{n}}}:key" for n in range(1000))
    return next(key for key in keys if home_of(nodes, key_slot(key.encode())) is home)


async def work(client: Client, key: str, done: list[str]) -> None:
    """All that is done to a store: commands, several at once, scripts, reads that wait."""
    for n in range(ROUNDS):
        await client.call("SET", key, n)
        await client.pipeline([("GET", key), ("EXISTS", key)])
        await client.run("fingerprint", [key])
        await client.call("XREAD", "BLOCK", 200, "STREAMS", f"{key}:stream", "$")
        done.append(key)


async def ask_in_vain(client: Client, key: str, refused: list[str]) -> None:
    while True:
        try:
            await client.pipeline([("GET", key), ("EXISTS", key)])
        except Unavailable:
            refused.append(key)
        await anyio.sleep(0.01)


async def test_c7_who_works_on_the_other_masters_is_never_refused(nodes: list[PrivateValkey], client: Client) -> None:
    dead, *alive = nodes
    lost, kept = key_on(nodes, dead), [key_on(nodes, node) for node in alive]
    refused: list[str] = []
    done: list[str] = []
    async with anyio.create_task_group() as vain:
        for _ in range(AT_ONCE):
            vain.start_soon(ask_in_vain, client, lost, refused)
        async with anyio.create_task_group() as working:
            for key in kept * AT_ONCE:
                working.start_soon(work, client, key, done)
            while len(done) < 10:  # noqa: ASYNC110 - in the midst of it
                await anyio.sleep(0.001)
            dead.kill()
        vain.cancel_scope.cancel()
    assert len(done) == len(kept) * AT_ONCE * ROUNDS
    assert refused
