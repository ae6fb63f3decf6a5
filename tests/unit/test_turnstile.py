"""The turnstile in front of a worker's threads: users in turn, places never lost (E7)."""

from __future__ import annotations

import random

import anyio
import anyio.lowlevel
import pytest

from nanobana_engine.worker.turnstile import Turnstile

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def order_of(turnstile: Turnstile, users: list[str], until: int) -> list[str]:
    """Who gets in, when each leaves at once and all came in this order."""
    inside: list[str] = []

    async def visit(user: str) -> None:
        async with turnstile.turn(user):
            inside.append(user)
            await anyio.lowlevel.checkpoint()

    async with anyio.create_task_group() as tasks:
        for user in users:
            tasks.start_soon(visit, user)
    assert not turnstile.is_used
    turnstile.check_integrity()
    return inside[:until]


async def test_e7_behind_one_place_users_take_turns_however_many_one_has_waiting() -> None:
    assert await order_of(Turnstile(1), ["ana"] * 9 + ["ben"] * 3 + ["cleo"], 7) == [
        "ana", "ben", "cleo", "ana", "ben", "ana", "ben",
    ]  # fmt: skip


async def test_e7_one_user_never_holds_the_place_that_is_another_ones() -> None:
    turnstile = Turnstile(2, each=1)
    entered = anyio.Event()

    async def waits(user: str) -> None:
        async with turnstile.turn(user):
            entered.set()

    async with turnstile.turn("ana"), anyio.create_task_group() as tasks:
        tasks.start_soon(waits, "ana")
        await anyio.lowlevel.checkpoint()
        assert not entered.is_set()
        async with turnstile.turn("ben"):
            tasks.cancel_scope.cancel()
    turnstile.check_integrity()


@pytest.mark.parametrize("seed", range(5))
async def test_no_place_is_lost_whoever_is_cancelled_when(seed: int) -> None:
    dice, turnstile = random.Random(seed), Turnstile(2, each=1 if seed % 2 else None)

    async def visit(user: str, stays: int, leaves_after: int) -> None:
        with anyio.CancelScope() as scope:
            async with anyio.create_task_group() as tasks:

                async def cancel() -> None:
                    for _ in range(leaves_after):
                        await anyio.lowlevel.checkpoint()
                    scope.cancel()

                tasks.start_soon(cancel)
                async with turnstile.turn(user):
                    for _ in range(stays):
                        await anyio.lowlevel.checkpoint()
                tasks.cancel_scope.cancel()

    async with anyio.create_task_group() as tasks:
        for _ in range(60):
            tasks.start_soon(visit, dice.choice("abc"), dice.randrange(5), dice.randrange(30))
    turnstile.check_integrity()
