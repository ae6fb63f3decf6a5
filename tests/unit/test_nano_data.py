"""What nano learns from: repeats found, holes filled, things placed inside masks, scenes that repeat by seed."""

from __future__ import annotations

import numpy as np
import pytest

from nanobana_engine.assets.pack import PACK_PATH, AssetPack
from nanobana_engine.models.nano import backgrounds, prefill, shifts
from nanobana_engine.models.nano.data import SceneMaker, shadow
from nanobana_engine.models.nano.layout import Pose, cells, place
from nanobana_engine.models.nano.masks import bounding_box, random_mask
from nanobana_engine.models.nano.recolour import recolour
from nanobana_engine.models.nano.words import COLOURS


def _centre_hole(size: int, share: float = 0.5) -> np.ndarray:
    hole = np.zeros((size, size), bool)
    edge = int(size * (1 - share) / 2)
    hole[edge:-edge, edge:-edge] = True
    return hole


def test_a_smooth_fill_keeps_what_is_known_and_stays_within_its_colours() -> None:
    image = backgrounds.draw("sky", np.random.default_rng(0), 64)
    hole = _centre_hole(64)
    filled = prefill.diffuse(image * ~hole[..., None], hole)
    assert np.array_equal(filled[~hole], (image * ~hole[..., None])[~hole])
    assert image[~hole].min() - 1e-5 <= filled.min()
    assert filled.max() <= image[~hole].max() + 1e-5


@pytest.mark.parametrize("kind", ["checker", "brick", "stripes", "dots"])
def test_a_repeating_pattern_is_continued_by_a_copy(kind: str) -> None:
    image = backgrounds.draw(kind, np.random.default_rng(3), 128)
    hole = _centre_hole(128, 0.4)
    around = prefill.surroundings(np.where(hole[..., None], 0, image), hole)
    copied, smooth = (float(((g - image)[hole] ** 2).mean()) for g in (around.copies[0], around.smooth))
    assert copied < 0.6 * smooth


def test_every_pixel_of_a_hole_finds_a_pixel_to_copy() -> None:
    hole = _centre_hole(96, 0.6)
    found = shifts.lattice_map(hole, (5, 40), (33, -4))
    y, x = np.nonzero(hole)
    assert found.filled[hole].mean() > 0.95
    ok = found.filled[y, x]
    assert not hole[(y + found.dy[y, x])[ok], (x + found.dx[y, x])[ok]].any()


def test_a_shift_found_small_is_made_exact_large() -> None:
    axis = np.arange(256)
    image = np.repeat(((axis // 17 % 2)[None, :, None] * np.ones((256, 1, 1))), 3, 2).astype(np.float32)
    hole = _centre_hole(256, 0.3)
    assert shifts.refine_shift(image, hole, (0, 32), 3)[1] == 34


@pytest.mark.parametrize("count", [1, 2, 3, 4, 6])
def test_things_lie_apart_and_inside_the_mask(count: int) -> None:
    mask = _centre_hole(128, 0.6)
    picture = np.full((50, 50, 4), 255, np.uint8)
    layer = place([picture] * count, [Pose(False, 0.0, 1.0, (0.0, 0.0))] * count, mask)
    assert layer[~mask].max() < 0.02
    boxes = cells(bounding_box(mask), count)
    assert len(boxes) == count
    assert all(layer[(t + b) // 2, (left + r) // 2, 3] > 0.9 for left, t, r, b in boxes)


def test_random_masks_are_neither_empty_nor_everything() -> None:
    shares = [random_mask(np.random.default_rng(seed), 64).mean() for seed in range(60)]
    assert min(shares) > 0.01
    assert max(shares) < 0.6


@pytest.mark.parametrize("kind", list(backgrounds.BACKGROUNDS))
def test_every_background_is_drawn_in_range_and_repeats_by_seed(kind: str) -> None:
    one, again = (backgrounds.draw(kind, np.random.default_rng(1), 48) for _ in range(2))
    assert one.shape == (48, 48, 3)
    assert one.min() >= 0
    assert one.max() <= 1
    assert np.array_equal(one, again)


@pytest.mark.parametrize("colour", list(COLOURS))
def test_a_picture_takes_the_colour_that_a_word_names(colour: str) -> None:
    picture = np.full((8, 8, 4), 255, np.uint8)
    picture[..., :3] = (200, 40, 60)
    mean = recolour(picture, colour)[..., :3].mean((0, 1)) / 255
    assert np.abs(mean - np.array(COLOURS[colour])).max() < 0.15


def test_a_shadow_lies_at_the_foot_of_what_stands_and_nowhere_in_the_air() -> None:
    alpha = np.zeros((64, 64), np.float32)
    alpha[20:50, 25:40] = 1
    pool = shadow(alpha, "ground", 64)
    assert pool[50:53, 28:36].mean() > 3 * max(0.01, float(pool[:30].mean()))
    assert shadow(alpha, "air", 64).max() == 0


@pytest.mark.skipif(not PACK_PATH.exists(), reason="the asset pack is not built: make assets")
def test_a_scene_repeats_by_seed_and_its_guesses_agree_with_the_truth_outside_the_hole() -> None:
    maker = SceneMaker(AssetPack(), 48, held_out=True)
    for seed in range(4):
        one, again = (maker.scene(np.random.default_rng(seed)) for _ in range(2))
        assert np.array_equal(one.truth, again.truth)
        assert all(np.allclose(g[~one.hole], one.truth[~one.hole]) for g in one.guesses)
