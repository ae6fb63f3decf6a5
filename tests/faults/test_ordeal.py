"""Parts of a whole installation are killed at random moments while people edit: nothing acknowledged is lost (C10)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.fleet import Fleet, running_fleet
from support.ordeal import ordeal

pytestmark = [pytest.mark.faults, pytest.mark.timeout(400)]


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def fleet() -> Iterator[Fleet]:
    with running_fleet() as running:
        yield running


async def test_c10_servers_engines_and_the_store_are_killed_and_every_acknowledged_op_is_there(fleet: Fleet) -> None:
    kills = ["server", "store", "engine", "server", "store"]
    found = await ordeal(fleet, seed=1, people=4, steps=150, kills=kills, every_s=0.6)
    assert found.kills == len(kills)
    assert found.ops > 200
    assert (found.acked_lost, found.diverged) == (0, 0)
