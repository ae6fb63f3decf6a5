"""From the model's picture to the canvas: what may change, what may not, and in which colour (E5, E6)."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nanobana.protocol.canvas import Layer
from nanobana.protocol.geometry import Box
from nanobana.raster.compose import flatten
from nanobana.raster.patches import split
from nanobana_engine.engine.lab import from_lab, to_lab
from nanobana_engine.engine.source import Source
from nanobana_engine.engine.stitch import stitch
from nanobana_engine.models.base import Preset
from nanobana_engine.planner.soft import allowed
from support.adapters import CastAdapter, PaintAdapter, PixelAdapter, preset
from support.edits import edited, laid, mask_in, photo, source_of

IN_RANGE = preset()
TILED = preset(native=64, min_side=32, max_side=64)


@st.composite
def situations(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """A photo and a mask of random size, position, softness and number of pieces."""
    width, height = draw(st.integers(33, 220)), draw(st.integers(33, 220))
    mask = np.zeros((height, width), np.uint8)
    for _ in range(draw(st.integers(1, 3))):
        x, y = draw(st.integers(0, width - 1)), draw(st.integers(0, height - 1))
        w, h = draw(st.integers(1, max(1, width // 2))), draw(st.integers(1, max(1, height // 2)))
        mask[y : y + h, x : x + w] = draw(st.sampled_from([20, 128, 255]))
    return photo(width, height, draw(st.integers(0, 5))), mask


def patch_of(source: Source, painted: float) -> np.ndarray:
    stage = source.plan.stages[-1]
    picture = np.full((stage.height, stage.width, 3), painted, np.float32)
    return stitch(source, picture)


@settings(max_examples=60)
@given(situations(), st.booleans(), st.sampled_from([IN_RANGE, TILED]), st.floats(0, 1))
def test_e5_nothing_changes_where_c_is_0_or_beyond_the_reach(
    situation: tuple[np.ndarray, np.ndarray], exact: bool, facts: Preset, painted: float
) -> None:
    picture, mask = situation
    source = source_of(picture, mask, facts, exact_edge=exact)
    patch = patch_of(source, painted)
    after = laid(picture, source, patch)
    changed = (after != picture).any(axis=-1)
    c = source.plan.context
    cleaned = np.zeros_like(mask)
    cleaned[c.y0 : c.y1, c.x0 : c.x1] = source.plan.whole().user_mask
    assert not changed[~allowed(cleaned, source.plan.reach, exact_edge=exact)].any()
    assert not patch[source.plan.window(source.plan.result_inside).composite == 0].any()
    assert (patch[..., 3] == source.plan.window(source.plan.result_inside).composite).all()


@settings(max_examples=25)
@given(situations(), st.integers(0, 2))
def test_e5_over_layers_only_the_patchs_pixels_change(situation: tuple[np.ndarray, np.ndarray], below: int) -> None:
    _, mask = situation
    height, width = mask.shape
    box = Box(0, 0, width, height)
    layers = [Layer(id=f"l{index}", name="") for index in range(below + 1)]
    tiles = {
        (f"l{index}", x, y): tile
        for index in range(below + 1)
        for x, y, tile in split(photo(width, height, index), box)
    }
    seen = flatten(layers, tiles, box)
    source = source_of(seen, mask, IN_RANGE)
    patch = patch_of(source, 0.3)
    top = {("top", x, y): tile for x, y, tile in split(patch, source.plan.result)}
    after = flatten([*layers, Layer(id="top", name="edit")], {**tiles, **top}, box)
    assert np.array_equal(after, laid(seen, source, patch))
    untouched = np.ones_like(mask, bool)
    untouched[source.plan.result.y0 : source.plan.result.y1, source.plan.result.x0 : source.plan.result.x1] = (
        source.plan.window(source.plan.result_inside).composite == 0
    )
    assert np.array_equal(after[untouched], seen[untouched])


@settings(max_examples=12)
@given(situations())
def test_e5_a_model_that_returns_its_input_changes_0_pixels(situation: tuple[np.ndarray, np.ndarray]) -> None:
    picture, mask = situation
    after, _ = edited(PixelAdapter(), picture, mask)
    assert np.array_equal(after, picture)


def test_e5_with_exact_edge_the_mask_is_filled_and_nothing_else() -> None:
    picture, mask = photo(200, 160), mask_in(200, 160, Box(60, 50, 120, 100))
    after, _ = edited(PaintAdapter((1.0, 0.0, 1.0)), picture, mask, exact_edge=True)
    assert np.array_equal((after != picture).any(axis=-1), mask > 0)


def test_e5_on_opaque_pixels_the_patch_is_the_formula() -> None:
    picture, mask = photo(200, 160), mask_in(200, 160, Box(60, 50, 120, 100))
    source = source_of(picture, mask, IN_RANGE)
    patch = patch_of(source, 0.9)
    box = source.plan.result
    o = picture[box.y0 : box.y1, box.x0 : box.x1, :3].astype(np.float32)
    share = patch[..., 3:].astype(np.float32) / np.float32(255)
    expected = np.rint(o + share * (patch[..., :3] - o))
    got = laid(picture, source, patch)[box.y0 : box.y1, box.x0 : box.x1, :3]
    assert np.abs(expected - got).max() <= 1
    assert (np.abs(expected - got) > 0).mean() < 0.001


def test_e6_a_cast_of_3_l_leaves_less_than_a_twentieth() -> None:
    picture, mask = photo(240, 240), mask_in(240, 240, Box(80, 80, 160, 170))
    picture[..., :3] = np.clip(picture[..., :3], 30, 215)
    after, source = edited(CastAdapter(3.0), picture, mask)
    box = source.plan.result
    part = (slice(box.y0, box.y1), slice(box.x0, box.x1))
    lightness = [to_lab(each[part][..., :3].astype(np.float32) / np.float32(255))[..., 0] for each in (after, picture)]
    assert abs(float((lightness[0] - lightness[1]).mean())) < 0.05


def test_e6_lab_and_back_is_the_same_colour() -> None:
    pixels = np.random.default_rng(0).random((40, 40, 3)).astype(np.float32)
    assert np.abs(from_lab(to_lab(pixels)) - pixels).max() < 1e-4
    assert to_lab(np.ones((1, 3), np.float32))[0] == pytest.approx([100, 0, 0], abs=1e-2)


def test_e3_a_region_made_smaller_keeps_the_canvass_detail_around_the_mask() -> None:
    facts = preset(native=64, min_side=32, max_side=64)
    picture, mask = photo(400, 400), mask_in(400, 400, Box(100, 100, 300, 300))
    after, source = edited(PixelAdapter(facts), picture, mask, quality="draft")
    c = source.plan.context
    depth = np.zeros(mask.shape, np.float32)
    depth[c.y0 : c.y1, c.x0 : c.x1] = source.plan.whole().denoise
    outer = (depth > 0) & (depth < 0.7)
    assert np.abs(after[outer].astype(int) - picture[outer]).mean() < 1.0
