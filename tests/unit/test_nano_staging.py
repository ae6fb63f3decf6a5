"""A whole scene is staged as one would draw it: the sun above, the house on the ground, a shadow under each thing."""

from __future__ import annotations

import numpy as np

from nanobana_engine.models.nano.layout import Pose
from nanobana_engine.models.nano.staging import floats, placed, shadows, staged

SIDE = 100
POSE = Pose(False, 0.0, 1.0, (0.0, 0.0))
RED, BLUE = (np.full((40, 40, 4), colour, np.uint8) for colour in ((255, 0, 0, 255), (0, 0, 255, 255)))
EVERYWHERE = np.ones((SIDE, SIDE), bool)


def test_what_hangs_in_the_air_is_above_what_stands() -> None:
    layer = placed(staged([BLUE, RED, RED], [POSE] * 3, [False, True, True], EVERYWHERE))
    red, blue = np.flatnonzero((layer[..., 0] > 0.5).any(1)), np.flatnonzero((layer[..., 2] > 0.5).any(1))
    assert red.max() < SIDE / 2
    assert blue.max() > 0.9 * SIDE
    assert red.mean() < blue.mean()


def test_each_thing_that_stands_has_a_shadow_of_its_own_and_what_hangs_has_none() -> None:
    dark = shadows(staged([BLUE, BLUE, RED], [POSE] * 3, [False, False, True], EVERYWHERE), SIDE)
    columns = dark.max(0) > 0.2
    assert not dark[: SIDE // 2].any()
    assert np.count_nonzero(np.diff(columns.astype(int)) == 1) + int(columns[0]) == 2
    assert not shadows(staged([RED], [POSE], [True], EVERYWHERE), SIDE).any()


def test_suns_balloons_and_birds_of_prey_hang_and_houses_stand() -> None:
    assert all(floats(each) for each in ("🎈", "☀️", "🌙", "✈️", "🚀", "🦅", "☁️"))
    assert not any(floats(each) for each in ("🏠", "🐈", "🌳", "⛄", "☂️", "🔥"))
