"""The client under callers that come all at once, give up, or find the scripts gone (C7)."""

import random

import anyio
import pytest
from redis.exceptions import ResponseError

from nanobana.keyspace.client import Call, Client
from nanobana.keyspace.keys import CanvasKeys
from nanobana.protocol.errors import Unavailable
from nanobana.raster.codec import blob_name
from nanobana_server.store import Store, open_store
from support.strokes import Easel


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
        await _forget_scripts(store.client)


async def test_c10_scripts_of_one_round_trip_run_in_order_also_where_the_server_forgot_them(easel: Easel) -> None:
    client, keys = easel.store.client, CanvasKeys(easel.id)
    for data in (b"one", b"two", b"three"):
        call: Call = ("put_blobs", [keys.meta, keys.blobs, keys.blob_ages], [b"0", blob_name(data), data])
        broken: Call = ("put_blobs", [keys.job("none"), keys.blobs, keys.blob_ages], [b"0", blob_name(data), data])
        assert await client.scripts([broken, call, call]) == [[b"no_canvas"], [b"ok"], [b"ok"]]
        assert await client.call("HGET", keys.blobs, blob_name(data)) == data
        await _forget_scripts(client)


async def test_what_one_script_of_a_round_trip_breaks_on_is_raised(easel: Easel) -> None:
    client, keys = easel.store.client, CanvasKeys(easel.id)
    put: Call = ("put_blobs", [keys.meta, keys.blobs, keys.blob_ages], [b"0", blob_name(b"x"), b"x"])
    with pytest.raises(ResponseError, match="WRONGTYPE"):
        await client.scripts([put, ("heartbeat", [keys.layers], [1, 1000])])


async def _forget_scripts(client: Client) -> None:
    if client.is_cluster:
        for node in client.redis.get_primaries():
            await node.execute_command("SCRIPT", "FLUSH")
    else:
        await client.call("SCRIPT", "FLUSH")


async def test_c7_each_reply_to_commands_of_many_slots_comes_in_their_order(store: Store) -> None:
    places = [f"{{each-{n}}}" for n in range(20)]
    for n, place in enumerate(places):
        await store.client.call("SET", place, n)
    replies = [reply async for reply in store.client.each([("GET", place) for place in places])]
    assert replies == [str(n).encode() for n in range(20)]


async def test_an_address_where_nobody_listens_is_unavailable() -> None:
    for url in ("redis://127.0.0.1:1/0", "unix:///nowhere/valkey.sock", "redis+cluster://127.0.0.1:1"):
        with pytest.raises(Unavailable):
            await open_store(url)
