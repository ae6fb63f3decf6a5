"""Nano's guesses are remembered by what they were made from, and only by that (E9)."""

from __future__ import annotations

import numpy as np
import pytest

from nanobana_engine.memory import Cache, Ledger
from nanobana_engine.models.nano.around import Around
from nanobana_engine.models.nano.arrays import Floats
from nanobana_engine.models.nano.guesses import Guesses

SIDE = 96


def picture(seed: int = 0) -> Floats:
    return np.random.default_rng(seed).random((SIDE, SIDE, 3), np.float32)


def mask() -> Floats:
    plane = np.zeros((SIDE, SIDE), np.float32)
    plane[30:60, 30:60] = 1
    return plane


class Remembering:
    """Guesses and the cache behind them."""

    def __init__(self, limit_bytes: int = 64 << 20) -> None:
        self.cache: Cache[bytes, Around] = Cache(Ledger(64 << 20), "guesses", limit_bytes)
        self.guesses = Guesses(self.cache)


@pytest.fixture
def remembering() -> Remembering:
    return Remembering()


def test_e9_an_edit_finds_what_was_guessed_while_its_prompt_was_typed(remembering: Remembering) -> None:
    remembering.guesses.prepare(picture(), mask(), lambda: True)
    (ahead,) = (value for value, _ in remembering.cache._values.values())
    assert remembering.guesses.look(picture(), mask()) is ahead


def test_e9_variations_guess_nothing_twice_however_little_is_remembered() -> None:
    guesses = Remembering(limit_bytes=0).guesses
    assert guesses.look(picture(), mask()) is guesses.look(picture(), mask())


@pytest.mark.parametrize("where", [(0, 0), (29, 45), (SIDE - 1, SIDE - 1)])
def test_e9_guesses_of_other_pixels_are_never_used(remembering: Remembering, where: tuple[int, int]) -> None:
    remembering.guesses.prepare(picture(), mask(), lambda: True)
    changed = picture()
    changed[where] += np.float32(1 / 255)
    found, fresh = remembering.guesses.look(changed, mask()), Guesses().look(changed, mask())
    assert np.array_equal(np.stack(found.guesses), np.stack(fresh.guesses))
    assert found.guesses[0][where].tolist() == changed[where].tolist()


def test_e9_guesses_of_another_hole_are_never_used(remembering: Remembering) -> None:
    remembering.guesses.prepare(picture(), mask(), lambda: True)
    larger = mask()
    larger[60, 30:60] = 1
    assert remembering.guesses.look(picture(), larger).region.hole[60, 40]


def test_e9_what_stands_in_the_hole_changes_nothing(remembering: Remembering) -> None:
    first = remembering.guesses.look(picture(), mask())
    scribbled = picture()
    scribbled[40:50, 40:50] = 0.5
    assert remembering.guesses.look(scribbled, mask()) is first


def test_e9_what_is_not_wanted_any_more_is_not_made(remembering: Remembering) -> None:
    remembering.guesses.prepare(picture(), mask(), lambda: False)
    assert len(remembering.cache) == 0


def test_e9_what_is_remembered_stays_within_its_bytes() -> None:
    one = Remembering()
    one.guesses.prepare(picture(), mask(), lambda: True)
    small = Remembering(limit_bytes=2 * one.cache.used_bytes)
    for seed in range(4):
        small.guesses.prepare(picture(seed), mask(), lambda: True)
    assert len(small.cache) == 2
    assert small.cache.used_bytes <= small.cache.limit_bytes
    small.cache.check_integrity()
