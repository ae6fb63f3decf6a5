"""Erase by PatchMatch: it removes, touches nothing else, tells how far it is, and can be stopped (E5, E8)."""

import asyncio
import time

import anyio
import numpy as np
import pytest

from nanobana.protocol.geometry import Box
from nanobana_engine.engine import EditFinished, EditProgress
from nanobana_engine.erase.eraser import Eraser
from nanobana_engine.erase.fill import fills
from nanobana_engine.erase.preset import ERASE
from nanobana_engine.planner.soft import allowed
from support.edits import laid, mask_in, source_of

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def sky(side: int = 192) -> np.ndarray:
    """A vertical gradient with a little grain, and a red square on it."""
    rng = np.random.default_rng(0)
    ramp = np.linspace(90, 200, side)[:, None, None] * np.array([0.6, 0.8, 1.0])
    picture = np.empty((side, side, 4), np.uint8)
    picture[..., :3] = np.clip(ramp + rng.normal(0, 2, (side, side, 3)), 0, 255)
    picture[..., 3] = 255
    picture[80:112, 80:112, :3] = (220, 20, 20)
    return picture


async def test_e5_erase_removes_the_thing_and_changes_0_pixels_outside() -> None:
    picture = sky()
    mask = mask_in(192, 192, Box(76, 76, 116, 116))
    source = source_of(picture, mask, ERASE, mode="erase")
    eraser = Eraser()
    try:
        events = [event async for event in eraser.run(source)]
    finally:
        await eraser.close()
    end = events[-1]
    assert isinstance(end, EditFinished)
    after = laid(picture, source, end.patches()[0])
    changed = (after != picture).any(axis=-1)
    assert not changed[~allowed(mask, source.plan.reach)].any()
    row = picture[:, 20, :3].astype(int)
    assert np.abs(after[80:112, 80:112, :3] - row[80:112, None]).mean() < 10
    shown = [event for event in events if isinstance(event, EditProgress)]
    assert [event.step for event in shown] == list(range(1, shown[0].of + 1))


async def test_e8_a_cancelled_erase_stops_at_once_and_the_next_one_works() -> None:
    picture, mask = sky(600), mask_in(600, 600, Box(100, 100, 400, 400))
    eraser = Eraser()
    try:
        with anyio.move_on_after(0.6):
            async for _ in eraser.run(source_of(picture, mask, ERASE, mode="erase")):
                pass
        began = time.monotonic()
        small = source_of(sky(), mask_in(192, 192, Box(80, 80, 110, 110)), ERASE, mode="erase")
        events = [event async for event in eraser.run(small)]
        assert isinstance(events[-1], EditFinished)
        assert time.monotonic() - began < 5
    finally:
        await eraser.close()
        await asyncio.sleep(0)


def test_e11_erase_gives_the_same_pixels_for_the_same_seed() -> None:
    picture = sky(96)[..., :3].copy()
    hole = mask_in(96, 96, Box(60, 60, 80, 80)) > 0
    first, second = (list(fills(picture, hole, hole, seed=5))[-1].picture for _ in range(2))
    assert np.array_equal(first, second)


def test_a_large_region_is_filled_small_and_given_detail(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nanobana_engine.erase.fill.LARGEST", 96 * 96)
    rng = np.random.default_rng(0)
    picture = np.clip(128 + rng.normal(0, 20, (192, 192, 3)), 0, 255).astype(np.uint8)
    hole = mask_in(192, 192, Box(70, 70, 120, 120)) > 0
    filled = list(fills(picture, hole, hole, seed=1))[-1].picture
    assert np.array_equal(filled[~hole], picture[~hole])
    assert 0.6 < filled[hole].astype(float).std() / picture[~hole].astype(float).std() < 1.3
