"""Upkeep looks at canvases in which something happened, when it is due, and at no other (C8)."""

from __future__ import annotations

import pytest

from nanobana.keyspace.keys import UPKEEP
from nanobana.protocol.geometry import Box
from nanobana_server.jobs import upkeep
from nanobana_server.store import Store
from support.strokes import RED, Easel
from support.work import queued

SPOT = Box(0, 0, 30, 30)


@pytest.fixture
async def only(store: Store) -> None:
    """No canvas of another test is due."""
    await store.client.call("DEL", UPKEEP)
    await store.client.call("SET", "nb:upkeep:all", "1")


async def due_in_ms(store: Store, easel: Easel) -> float | None:
    score = await store.client.call("ZSCORE", UPKEEP, easel.id)
    return None if score is None else float(score) - await store.now_ms()


async def noted(store: Store) -> list[str]:
    return [canvas for canvas, _ in await store.due(1000)]


@pytest.mark.usefixtures("only")
async def test_c8_a_canvas_that_is_at_rest_is_looked_at_once_and_not_again(store: Store, easel: Easel) -> None:
    await easel.paint("ana", SPOT, RED)
    assert await noted(store) == [easel.id]
    await upkeep.look_around(store)
    assert await noted(store) == []
    assert await due_in_ms(store, easel) is None


@pytest.mark.usefixtures("only")
async def test_c8_what_happens_while_it_is_looked_at_is_not_forgotten(store: Store, easel: Easel) -> None:
    await easel.paint("ana", SPOT, RED)
    [(canvas, seen)] = await store.due(10)
    await Store(store.client, store.pool).stir(canvas)  # another server
    await store.settled(canvas, seen, None)
    assert await noted(store) == [easel.id]


@pytest.mark.usefixtures("only")
async def test_c8_an_upload_and_an_open_edit_are_looked_at_again_in_their_time(store: Store, easel: Easel) -> None:
    await store.put_blobs(easel.id, [b"never named"])
    await upkeep.look_around(store)
    due = await due_in_ms(store, easel)
    assert due is not None and 3_000_000 < due <= 3_600_000
    await queued(easel)
    await Store(store.client, store.pool).stir(easel.id)
    await upkeep.look_around(store)
    due = await due_in_ms(store, easel)
    assert due is not None and 30_000 < due <= 60_000


@pytest.mark.usefixtures("only")
async def test_c8_once_a_day_every_canvas_is_looked_at(store: Store, easel: Easel) -> None:
    await store.client.call("DEL", UPKEEP)
    await store.stir_all()
    assert easel.id in await noted(store)
    await store.client.call("ZADD", UPKEEP, await store.now_ms() + 10**6, easel.id)
    await store.stir_all()
    due = await due_in_ms(store, easel)
    assert due is not None and due > 0
