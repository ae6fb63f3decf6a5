"""What a hole is filled with before the first step (E4)."""

import numpy as np

from nanobana_engine.planner.prefill import prefill


def test_e4_what_is_under_the_hole_has_no_influence_and_the_rest_stays() -> None:
    picture = np.random.default_rng(0).random((61, 75, 3)).astype(np.float32)
    hole = np.zeros((61, 75), bool)
    hole[20:45, 30:70] = True
    other = np.where(hole[..., None], np.float32(9.0), picture)
    assert np.array_equal(prefill(picture, hole), prefill(other, hole))
    assert np.array_equal(prefill(picture, hole)[~hole], picture[~hole])


def test_e4_a_slope_is_carried_across_the_hole() -> None:
    slope = np.broadcast_to(np.linspace(0, 1, 128, dtype=np.float32)[None, :, None], (128, 128, 3)).copy()
    hole = np.zeros((128, 128), bool)
    hole[40:88, 40:88] = True
    assert np.abs(prefill(slope, hole) - slope)[hole].max() < 0.2


def test_e4_where_nothing_is_known_the_hole_is_gray() -> None:
    assert (prefill(np.zeros((8, 8, 3), np.float32), np.ones((8, 8), bool)) == 0.5).all()
