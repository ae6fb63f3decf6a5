"""The client under callers that come all at once, give up, or find the scripts gone (C7)."""

import random

import anyio
import pytest

from nanobana.keyspace.client import Client
from nanobana.protocol.errors import Unavailable
from nanobana_server.store import Store, open_store


async def test_callers_that_give_up_leave_the_connections_fit_for_others(backend_url: str) -> None:
    client = Client(backend_url, connections=8)
    chance = random.Random(1)
    wrong: list[object] = []

    async def impatient(n: int, patience: float) -> None:
        with anyio.move_on_after(patience):
            await client.call("SET", f"{{give-up-{n}}}", n)
            answer = await client.call("GET", f"{{give-up-{n}}}")
            if answer != str(n).encode():
                wrong.append(answer)

    for longest in (0.002, 0.05, 5.0):
        async with anyio.create_task_group() as group:
            for n in range(80):
                group.start_soon(impatient, n, chance.random() * longest)
    assert wrong == []
    assert await client.call("GET", "{give-up-0}") in (b"0", None)
    await client.aclose()


async def test_scripts_that_the_server_forgot_are_sent_again(store: Store) -> None:
    for _ in range(2):
        assert await store.client.run("claim", ["nb:{c:none}:job:x"], ["w", 1]) == [0, b"terminal"]
        if store.client.is_cluster:
            for node in store.client.redis.get_primaries():
                await node.execute_command("SCRIPT", "FLUSH")
        else:
            await store.client.call("SCRIPT", "FLUSH")


async def test_an_address_where_nobody_listens_is_unavailable() -> None:
    for url in ("redis://127.0.0.1:1/0", "unix:///nowhere/valkey.sock", "redis+cluster://127.0.0.1:1"):
        with pytest.raises(Unavailable):
            await open_store(url)
