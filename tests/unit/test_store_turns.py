"""Turns on tiles inside one process."""

import anyio
import pytest

from nanobana_server.store.turns import Turns


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def test_who_wants_the_same_tile_waits_and_who_wants_another_does_not() -> None:
    turns = Turns()
    order: list[str] = []
    inside = anyio.Event()
    leave = anyio.Event()

    async def first() -> None:
        async with turns.on("c", [("a", 0, 0), ("a", 1, 0)]):
            inside.set()
            await leave.wait()
            order.append("first")

    async def second() -> None:
        async with turns.on("c", [("a", 1, 0), ("a", 2, 0)]):
            order.append("second")

    async with anyio.create_task_group() as group:
        group.start_soon(first)
        await inside.wait()
        group.start_soon(second)
        async with turns.on("c", [("b", 1, 0)]), turns.on("other", [("a", 1, 0)]):
            order.append("elsewhere")
        leave.set()
    assert order == ["elsewhere", "first", "second"]
    assert len(turns) == 0


async def test_people_who_want_the_same_tiles_in_different_order_do_not_wait_in_a_circle() -> None:
    turns = Turns()
    tiles = [("a", n, 0) for n in range(4)]

    async def hold(mine: list[tuple[str, int, int]]) -> None:
        async with turns.on("c", mine):
            await anyio.lowlevel.checkpoint()

    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            for n in range(20):
                group.start_soon(hold, tiles[n % 4 :] + tiles[: n % 4])
    assert len(turns) == 0


async def test_one_who_gives_up_waiting_leaves_nothing_behind() -> None:
    turns = Turns()

    async def impatient() -> None:
        with anyio.move_on_after(0.01):
            async with turns.on("c", [("a", 1, 0), ("a", 0, 0)]):
                raise AssertionError("held by two")

    async with turns.on("c", [("a", 1, 0)]):
        async with anyio.create_task_group() as group:
            group.start_soon(impatient)
        assert len(turns) == 1
    assert len(turns) == 0
