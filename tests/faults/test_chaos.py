"""Killed engines, cancels and supersedes at random moments: no leak, no double result, no stuck edit (E8, J2, J5)."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.chaos import Outcome, chaos, told

pytestmark = [pytest.mark.anyio, pytest.mark.faults, pytest.mark.timeout(300)]

SEEDS = [pytest.param(1, id="a first one")]
"""A seed that once failed stays here under a name that says what it found."""


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def nothing_is_left(found: Outcome) -> None:
    assert not found.stuck, told(found)
    assert not found.twice, told(found)
    assert not found.left, told(found)
    assert not found.said, told(found)
    assert "failed" not in found.states, told(found)


@pytest.mark.parametrize("seed", SEEDS)
async def test_e8_engines_die_under_people_who_cancel_and_supersede_and_nothing_is_left(
    seed: int, tmp_path: Path
) -> None:
    found = await chaos(tmp_path, seed=seed, edits=120, people=6, engines=2, kills=2, every_s=0.6)
    nothing_is_left(found)
    assert found.edits >= 120
    assert found.struck > 0
    assert found.states.get("superseded", 0) > 5
    assert found.states.get("cancelled", 0) > 5


@pytest.mark.soak
@pytest.mark.timeout(900)
@pytest.mark.parametrize("seed", range(3))
async def test_e8_a_thousand_edits_under_random_kills_leave_nothing_behind(seed: int, tmp_path: Path) -> None:
    found = await chaos(tmp_path, seed=100 + seed, edits=1000, people=8, engines=3, kills=20, every_s=2.5)
    nothing_is_left(found)
    assert found.edits >= 1000
    assert found.again > 0
    print(told(found))
