"""A ground drawn in a mask sits in its picture: under the horizon around it, in its light, as colourful as it is."""

from __future__ import annotations

import numpy as np
import pytest

from nanobana_engine.models.nano import backgrounds
from nanobana_engine.models.nano.around import region_of
from nanobana_engine.models.nano.arrays import Bools, Floats
from nanobana_engine.models.nano.conditioning import Wish, reference_layer
from nanobana_engine.models.nano.photos import photograph
from nanobana_engine.models.nano.scenery import Ground
from nanobana_engine.models.nano.setting import find_horizon, setting_of

SIDE = 128


def hole() -> Bools:
    middle = np.zeros((SIDE, SIDE), bool)
    middle[30:98, 30:98] = True
    return middle


def layer_of(name: str, picture: Floats) -> Floats:
    """(H, W, 4) of the ground alone."""
    region = region_of(picture, hole().astype(np.float32))
    wanted = Wish((), (), (), Ground(name, None, None, 7), None, f"backdrop on {name}")
    layer = reference_layer(wanted, hole(), hole(), lambda: region)
    assert layer is not None
    return layer


@pytest.mark.parametrize("at", [0.3, 0.45, 0.6])
@pytest.mark.parametrize("name", ["sea", "desert", "road"])
def test_the_horizon_around_a_hole_is_found(name: str, at: float) -> None:
    picture = backgrounds.draw(name, np.random.default_rng(4), SIDE, at)
    found = find_horizon(picture, hole())
    assert found is not None
    assert abs(found - at) < 0.04


def test_the_horizon_of_a_photograph_is_found_behind_a_man_who_stands_before_it() -> None:
    found = find_horizon(np.ascontiguousarray(photograph("camera.png")[::4, ::4]), hole())
    assert found is not None
    assert 0.28 < found < 0.45


@pytest.mark.parametrize("name", ["brick", "checker", "grass", "sky", "stripes", "gravel", "paper", "windows"])
def test_no_horizon_is_seen_where_there_is_none(name: str) -> None:
    assert all(
        find_horizon(backgrounds.draw(name, np.random.default_rng(seed), SIDE), hole()) is None for seed in range(6)
    )


@pytest.mark.parametrize("name", ["beach", "field", "snow"])
def test_a_drawn_ground_begins_at_the_horizon_around_it_and_leaves_the_sky_alone(name: str) -> None:
    layer = layer_of(name, backgrounds.draw("sea", np.random.default_rng(4), SIDE, 0.5))
    column = layer[34:94, SIDE // 2, 3]
    begins = 34 + int(np.argmax(column > 0.5))
    assert abs(begins / SIDE - 0.5) < 0.04
    assert not layer[:60, :, 3].any()


def test_in_a_grey_picture_a_drawn_ground_is_grey() -> None:
    layer = layer_of("beach", np.ascontiguousarray(photograph("camera.png")[::4, ::4]))
    assert float(np.ptp(layer[..., :3], axis=-1).max()) < 0.02


def test_at_night_a_drawn_ground_is_dark() -> None:
    dark, light = (
        layer_of("snow", backgrounds.draw("sea", np.random.default_rng(4), SIDE, 0.5) * np.float32(gain))
        for gain in (0.2, 1.0)
    )
    assert dark[80:90, 50:80, :3].mean() < 0.6 * light[80:90, 50:80, :3].mean()


def test_where_nothing_is_known_there_is_no_setting() -> None:
    assert setting_of(np.zeros((32, 32, 3), np.float32), np.ones((32, 32), bool)) is None


def test_a_given_horizon_takes_no_other_numbers_from_the_seed() -> None:
    for name in backgrounds.WITH_HORIZON:
        if name == "snow":
            continue  # under a given horizon it has a sky that it may not have had
        free, given = np.random.default_rng(5), np.random.default_rng(5)
        backgrounds.draw(name, free, 48)
        backgrounds.draw(name, given, 48, 0.4)
        assert free.random() == given.random()
