"""The planner's rules: what is left of a mask, how far an edit reaches, which frame and which sizes (E1–E3)."""

import tracemalloc

import numpy as np
import pytest
import scipy.ndimage
from hypothesis import given, settings
from hypothesis import strategies as st

from nanobana.protocol.errors import BadInput
from nanobana.protocol.geometry import Box
from nanobana.protocol.parameters import EditParams
from nanobana_engine.planner import Reach, plan_edit, reach_of, soft
from nanobana_engine.planner.mask import clean
from nanobana_engine.planner.plan import planes_of
from nanobana_engine.planner.resample import fit, unfit
from nanobana_engine.planner.soft import allowed, distance
from nanobana_engine.planner.stages import tiles_over
from support.adapters import PixelAdapter, preset
from support.edits import mask_in

BIG = preset(native=512, min_side=512, max_side=1024, multiple=16, latent_stride=8, grow_scale=1.0)
SQUARE = preset(mask_share=0.62, max_side=1024, multiple=16)


def test_e1_an_empty_or_faint_mask_is_refused() -> None:
    with pytest.raises(BadInput) as refused:
        clean(np.full((10, 10), 7, np.uint8), Box(0, 0, 10, 10), (100, 100))
    assert refused.value.code == "empty_mask"


def test_e1_a_mask_outside_the_canvas_is_empty() -> None:
    with pytest.raises(BadInput):
        clean(np.full((10, 10), 255, np.uint8), Box(100, 0, 110, 10), (100, 100))


def test_e1_faint_values_vanish_and_enclosed_holes_are_filled() -> None:
    ring = np.full((20, 20), 255, np.uint8)
    ring[5:15, 5:15] = 3
    ring[0, :] = 7
    left = clean(ring, Box(40, 40, 60, 60), (100, 100))
    assert left.box == Box(40, 41, 60, 60)
    assert (left.values == 255).all()


def test_e3_of_a_mask_its_tight_box_is_held_and_nothing_around_it() -> None:
    mask = np.zeros((400, 600), np.uint8)
    mask[100:300, 150:450] = 255
    mask[5, 5] = 7
    kept = clean(mask, Box(0, 0, 600, 400), (600, 400))
    assert kept.box == Box(150, 100, 450, 300)
    held = kept.values if kept.values.base is None else kept.values.base
    assert held.nbytes == 200 * 300


def test_e1_a_mask_all_around_the_canvas_keeps_the_picture_inside_it() -> None:
    frame = np.full((100, 100), 255, np.uint8)
    frame[20:80, 20:80] = 0
    assert (clean(frame, Box(0, 0, 100, 100), (100, 100)).values == frame).all()
    gap = np.full((100, 100), 255, np.uint8)
    gap[50:60, 50:60] = 0
    assert (clean(gap, Box(0, 0, 100, 100), (100, 100)).values == 255).all()
    assert (clean(frame, Box(0, 0, 100, 100), (120, 100)).values == 255).all()


def test_e1_a_bay_that_is_open_to_the_outside_stays_open() -> None:
    bay = np.full((20, 20), 255, np.uint8)
    bay[5:, 8:12] = 0
    assert (clean(bay, Box(0, 0, 20, 20), (100, 100)).values == bay).all()


def test_e1_distances_follow_the_formula() -> None:
    reach = reach_of(Box(0, 0, 600, 800), (2000, 2000), strength=0.5)
    assert reach.feather == pytest.approx(50.0)
    assert reach.grow == pytest.approx(29.0)
    assert reach.blend == 25.0
    assert reach_of(Box(0, 0, 10, 10), (2000, 2000)).feather == 32.0


def test_e1_a_small_canvas_scales_the_distances_down() -> None:
    assert reach_of(Box(0, 0, 10, 10), (256, 900)).farthest == pytest.approx(
        reach_of(Box(0, 0, 10, 10), (512, 900)).farthest / 2
    )


@st.composite
def masks(draw: st.DrawFn) -> tuple[np.ndarray, tuple[int, int]]:
    """A canvas size and a mask of a few random rectangles of random values on it."""
    width, height = draw(st.integers(24, 420)), draw(st.integers(24, 420))
    mask = np.zeros((height, width), np.uint8)
    for _ in range(draw(st.integers(1, 3))):
        x, y = draw(st.integers(0, width - 1)), draw(st.integers(0, height - 1))
        w, h = draw(st.integers(1, width)), draw(st.integers(1, height))
        mask[y : y + h, x : x + w] = draw(st.sampled_from([8, 90, 255]))
    return mask, (width, height)


@settings(max_examples=60)
@given(masks(), st.sampled_from([BIG, SQUARE, preset()]), st.booleans(), st.floats(0.05, 1.0))
def test_e2_e5_every_plan_keeps_inside_the_canvas_and_its_reach(
    drawn: tuple[np.ndarray, tuple[int, int]], facts: object, exact: bool, strength: float
) -> None:
    mask, size = drawn
    edit = EditParams(box=Box(0, 0, *size), exact_edge=exact, strength=strength)
    plan = plan_edit(mask, edit, size, facts)  # type: ignore[arg-type]
    canvas = Box(0, 0, *size)
    assert canvas.contains(plan.context)
    assert plan.context.contains(plan.result)
    assert plan.result.contains(plan.mask_box)
    whole = np.zeros((size[1], size[0]), np.uint8)
    whole[plan.result.y0 : plan.result.y1, plan.result.x0 : plan.result.x1] = plan.window(plan.result_inside).composite
    cleaned = np.zeros_like(whole)
    c = plan.context
    cleaned[c.y0 : c.y1, c.x0 : c.x1] = plan.whole().user_mask
    assert not whole[~allowed(cleaned, plan.reach, exact_edge=exact)].any()
    inside = (slice(plan.result.y0 - c.y0, plan.result.y1 - c.y0), slice(plan.result.x0 - c.x0, plan.result.x1 - c.x0))
    assert not plan.window(plan.result_inside).composite[plan.whole().denoise[inside] == 0].any()
    assert (plan.whole().denoise[plan.whole().user_mask > 0] == 1).all()
    assert (whole[cleaned > 0] == (cleaned[cleaned > 0] if exact else 255)).all()
    for stage in plan.stages:
        assert stage.width % facts.multiple == 0  # type: ignore[attr-defined]
        assert stage.steps >= 3


def test_e2_a_square_frame_gives_the_mask_its_share() -> None:
    plan = plan_edit(
        mask_in(1024, 1024, Box(384, 384, 640, 640)), EditParams(box=Box(0, 0, 1024, 1024)), (1024, 1024), SQUARE
    )
    assert plan.context.width == plan.context.height
    assert 256 / plan.context.width == pytest.approx(0.62, abs=0.02)


def test_e2_a_frame_at_the_border_is_shifted_not_cut() -> None:
    inner = plan_edit(
        mask_in(1024, 1024, Box(400, 400, 500, 500)), EditParams(box=Box(0, 0, 1024, 1024)), (1024, 1024), BIG
    )
    corner = plan_edit(
        mask_in(1024, 1024, Box(0, 0, 100, 100)), EditParams(box=Box(0, 0, 1024, 1024)), (1024, 1024), BIG
    )
    assert corner.context.x0 == 0
    assert corner.size[0] >= min(inner.size[0], 512)
    assert corner.context.x0 % 64 == 0


def test_e3_in_the_models_range_nothing_is_resampled() -> None:
    plan = plan_edit(mask_in(901, 803, Box(300, 300, 620, 560)), EditParams(box=Box(0, 0, 901, 803)), (901, 803), BIG)
    (stage,) = plan.stages
    picture = np.random.default_rng(0).random((plan.size[1], plan.size[0], 3)).astype(np.float32)
    assert stage.name == "detail"
    assert np.array_equal(unfit(fit(picture, (stage.width, stage.height)), plan.size), picture)


def test_e3_above_the_range_it_goes_from_layout_to_detail_in_tiles() -> None:
    plan = plan_edit(
        mask_in(2600, 2600, Box(400, 400, 2100, 2100)),
        EditParams(box=Box(0, 0, 2600, 2600), quality="best"),
        (2600, 2600),
        BIG,
    )
    assert [stage.name for stage in plan.stages] == ["layout", "rough", "detail"]
    assert plan.stages[0].width * plan.stages[0].height <= 1.3 * 512**2
    assert plan.stages[-1].width >= plan.size[0]


@pytest.mark.parametrize(("strength", "made"), [(1.0, 28), (0.5, 14), (0.05, 3)])
def test_e4_a_stage_makes_its_share_of_the_steps_once_and_three_at_least(strength: float, made: int) -> None:
    many = preset(native=512, min_side=512, max_side=1024, multiple=16, steps={"best": 28})
    edit = EditParams(box=Box(0, 0, 2600, 2600), quality="best", strength=strength)
    plan = plan_edit(mask_in(2600, 2600, Box(400, 400, 2100, 2100)), edit, (2600, 2600), many)
    assert [stage.steps for stage in plan.stages] == [made, 11, 11], "0.4 of 28, not of 0.4 of 28"
    adapter = PixelAdapter(many)
    for stage in plan.stages:
        assert len(adapter.sigmas(stage.steps, stage.strength, (512, 512))) == stage.steps + 1


@settings(max_examples=50)
@given(st.integers(65, 200), st.integers(65, 200))
def test_e3_tiles_cover_everything_and_overlap(across: int, down: int) -> None:
    facts = preset(native=128, max_side=128, multiple=8)
    width, height = across * 8, down * 8
    tiles = tiles_over(width, height, facts)
    covered = np.zeros((height, width), np.uint8)
    for tile in tiles:
        assert Box(0, 0, width, height).contains(tile)
        covered[tile.y0 : tile.y1, tile.x0 : tile.x1] += 1
    assert covered.min() >= 1


def test_distance_is_zero_on_the_mask_and_euclidean_outside() -> None:
    field = distance(mask_in(20, 20, Box(5, 5, 6, 6)))
    assert field[5, 5] == 0
    assert field[8, 9] == pytest.approx(5.0)


def test_e3_a_small_region_is_enlarged_not_mirrored() -> None:
    picture = np.broadcast_to(np.linspace(0, 1, 80, dtype=np.float32)[None, :, None], (80, 80, 3)).copy()
    large = fit(picture, (128, 128))
    assert np.abs(large[60, :, 0] - np.linspace(0, 1, 128)).max() < 0.02


def test_e1_feather_and_grow_of_ones_own_replace_the_formula_and_none_is_a_hard_edge() -> None:
    box = Box(0, 0, 30, 40)
    assert reach_of(box, (900, 900), feather=40.0, grow=60.0) == Reach(feather=40.0, grow=60.0, blend=40.0)
    hard = reach_of(box, (900, 900), feather=0.0, grow=0.0)
    mask = np.zeros((32, 32), np.uint8)
    mask[8:20, 8:20] = 255
    composite = soft.composite_mask(soft.distance(mask), mask, hard, exact_edge=False)
    assert np.array_equal(composite, mask)


def test_e3_the_distances_of_a_window_take_what_is_near_it_in_few_bytes() -> None:
    side, reach = 512, reach_of(Box(0, 0, 3600, 3600), (4000, 4000))
    mask, there = np.full((3600, 3600), 255, np.uint8), Box(200, 200, 3800, 3800)
    window = Box(0, 1500, side, 1500 + side)
    tracemalloc.start()
    try:
        planes = planes_of(mask, there, reach, window, exact_edge=False)
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert 0 < planes.denoise.min() < planes.denoise.max() == 1
    near = window.grow(reach.pixels + 1).intersect(there.grow(reach.pixels + 1))
    # of what is near: eight bytes while scipy looks for the nearest masked pixel of each, or for the answer, and two or
    # three masks; distances as scipy makes them would be 32 more
    assert most < 12 * near.area + 24 * window.area


@settings(max_examples=40)
@given(masks(), st.integers(0, 400), st.integers(0, 400), st.integers(1, 200))
def test_distances_of_a_part_are_those_of_the_whole(
    drawn: tuple[np.ndarray, tuple[int, int]], left: int, top: int, side: int
) -> None:
    mask, (width, height) = drawn
    x, y = min(left, width - 1), min(top, height - 1)
    part = Box(x, y, min(x + side, width), min(y + side, height))
    whole = scipy.ndimage.distance_transform_edt(mask == 0).astype(np.float32)
    assert np.array_equal(distance(mask, part), whole[part.y0 : part.y1, part.x0 : part.x1])
    assert np.array_equal(distance(mask), whole)
