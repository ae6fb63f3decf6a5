"""Guesses for holes in photographs: no stutter of copies that do not meet, no veil, and the photograph's own grain."""

from __future__ import annotations

import numpy as np

from nanobana_engine.models.nano import prefill
from nanobana_engine.models.nano.around import look_around, shrunk
from nanobana_engine.models.nano.photos import photograph


def test_where_copies_do_not_meet_nothing_of_them_is_left_in_a_photograph() -> None:
    pixels = np.ascontiguousarray(photograph("astronaut.png")[300:492, 20:212])
    mask = np.zeros(pixels.shape[:2], np.float32)
    mask[44:148, 44:148] = 1
    found = look_around(pixels, mask)
    assert found is not None
    smooth, matched, copy = found.guesses
    alone = prefill.surroundings(found.region.small, found.region.small_hole)
    assert alone.shows_seams
    sure = shrunk((alone.doubt >= 1)[..., None].astype(np.float32), (192, 192))[..., 0] > 0.999
    sure &= mask > 0
    assert sure.sum() > 0.2 * mask.sum()
    for guess in (smooth, copy):
        assert np.abs(guess - matched)[sure].max() < 1e-3


def test_a_fill_made_small_has_the_detail_of_the_photograph_around_it() -> None:
    pixels = np.ascontiguousarray(photograph("camera.png")[256:512, 256:512])
    mask = np.zeros(pixels.shape[:2], np.float32)
    mask[150:220, 150:220] = 1
    found = look_around(pixels, mask)
    assert found is not None
    roughness = [float(np.abs(np.diff(p[155:215, 155:215, 0])).mean()) for p in (found.guesses[1], pixels)]
    assert 0.75 < roughness[0] / roughness[1] < 1.3
