"""Compositing, flattening, patches, coverage and mip levels."""

from collections.abc import Callable

import msgspec
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageChops

from nanobana.protocol.canvas import Blend, Layer
from nanobana.protocol.errors import BadInput
from nanobana.protocol.geometry import Box, tile_box
from nanobana.raster import compose, coverage, mips, patches

Pixels = npt.NDArray[np.uint8]


def noise(height: int, width: int, seed: int = 1) -> Pixels:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 4), np.uint8)


@given(seed=st.integers(0, 10_000), opaque=st.booleans(), opacity=st.sampled_from([1.0, 0.5]))
@settings(max_examples=60)
def test_e5_pixels_with_c_0_are_never_written(seed: int, opaque: bool, opacity: float) -> None:
    base, patch = noise(40, 50, seed), noise(40, 50, seed + 1)
    if opaque:
        base[..., 3] = 255
    patch[..., 3] *= np.random.default_rng(seed).integers(0, 2, (40, 50), np.uint8)
    out = compose.over(base, patch, opacity)
    untouched = patch[..., 3] == 0
    assert np.array_equal(out[untouched], base[untouched])


@given(seed=st.integers(0, 10_000))
@settings(max_examples=40)
def test_e5_the_identity_model_changes_no_pixel_of_an_opaque_layer(seed: int) -> None:
    base = noise(30, 30, seed)
    base[..., 3] = 255
    patch = base.copy()
    patch[..., 3] = np.random.default_rng(seed).integers(0, 256, (30, 30))
    assert np.array_equal(compose.over(base, patch), base)


def test_e5_over_on_opaque_pixels_is_the_rounded_blend() -> None:
    base, patch = noise(20, 20, 3), noise(20, 20, 4)
    base[..., 3] = 255
    o, g = base[..., :3].astype(np.float64), patch[..., :3].astype(np.float64)
    c = patch[..., 3:].astype(np.float64) / 255
    exact = o + c * (g - o)
    assert np.abs(compose.over(base, patch)[..., :3] - exact).max() <= 0.5001


def test_over_in_straight_alpha_agrees_with_porter_duff() -> None:
    base, patch = noise(20, 20, 5), noise(20, 20, 6)
    b, p = base.astype(np.float64) / 255, patch.astype(np.float64) / 255
    alpha = p[..., 3:] + b[..., 3:] * (1 - p[..., 3:])
    colour = (p[..., :3] * p[..., 3:] + b[..., :3] * b[..., 3:] * (1 - p[..., 3:])) / np.maximum(alpha, 1e-9)
    out = compose.over(base, patch)
    seen = patch[..., 3] > 0
    assert np.abs(out[..., 3:] - alpha * 255).max() < 0.51
    assert np.abs(out[..., :3] - colour * 255)[seen].max() < 0.51


BLENDS: dict[Blend, Callable[[Image.Image, Image.Image], Image.Image]] = {
    "multiply": ImageChops.multiply,
    "screen": ImageChops.screen,
    "overlay": ImageChops.overlay,
}


@pytest.mark.parametrize("blend", BLENDS)
def test_c1_blend_modes_on_opaque_pixels_are_those_of_another_library(blend: Blend) -> None:
    base, patch = noise(64, 64, 7), noise(64, 64, 8)
    base[..., 3] = patch[..., 3] = 255
    other = np.asarray(BLENDS[blend](Image.fromarray(base), Image.fromarray(patch)), np.int16)
    assert np.abs(compose.over(base, patch, blend=blend).astype(np.int16) - other).max() <= 1


@pytest.mark.parametrize("blend", BLENDS)
def test_c1_a_blended_layer_over_nothing_is_as_it_is(blend: Blend) -> None:
    patch = noise(20, 20, 9)
    seen = patch[..., 3] > 0
    assert np.array_equal(compose.over(np.zeros_like(patch), patch, blend=blend)[seen], patch[seen])


@pytest.mark.parametrize("blend", BLENDS)
def test_c1_a_blended_layer_over_half_of_something_is_half_blended(blend: Blend) -> None:
    base, patch = noise(20, 20, 10), noise(20, 20, 11)
    base[..., 3], patch[..., 3] = 128, 255
    whole = base.copy()
    whole[..., 3] = 255
    blended = compose.over(whole, patch, blend=blend)[..., :3].astype(np.float64)
    wanted = blended * (128 / 255) + patch[..., :3] * (127 / 255)
    assert np.abs(compose.over(base, patch, blend=blend)[..., :3] - wanted).max() <= 1.01


def test_c1_a_group_is_composited_by_itself_and_laid_down_like_one_layer() -> None:
    tiles = {(name, 0, 0): noise(256, 256, seed) for seed, name in enumerate("abc")}
    inside = [Layer(id="b", name="", opacity=0.7), Layer(id="c", name="", blend="overlay")]
    group = Layer(id="g", name="", group=True, opacity=0.5, blend="multiply")
    box = Box(0, 0, 256, 256)
    layers = [Layer(id="a", name=""), *(msgspec.structs.replace(layer, parent="g") for layer in inside), group]
    alone = compose.flatten(inside, tiles, box)
    wanted = compose.over(tiles["a", 0, 0], alone, 0.5, "multiply")
    assert np.array_equal(compose.flatten(layers, tiles, box), wanted)


def test_c1_what_is_in_a_hidden_group_does_not_show() -> None:
    tiles = {("a", 0, 0): noise(256, 256)}
    layers = [Layer(id="a", name="", parent="g"), Layer(id="g", name="", group=True, visible=False)]
    assert not compose.flatten(layers, tiles, Box(0, 0, 256, 256)).any()


def test_erasing_takes_alpha_only() -> None:
    base, patch = noise(20, 20, 7), noise(20, 20, 8)
    patch[:10, :, 3] = 255
    out, where = patches.lay(
        np.pad(base, ((0, 236), (0, 236), (0, 0))), np.pad(patch, ((0, 236), (0, 236), (0, 0))), "erase"
    )
    assert np.array_equal(out[:20, :20, :3], base[..., :3])
    assert out[:10, :20, 3].max() == 0
    assert where.sum() == np.count_nonzero(patch[..., 3])


def test_flatten_of_one_opaque_layer_is_the_layer_byte_for_byte() -> None:
    tiles = {("a", 0, 0): noise(256, 256, 1), ("a", 1, 0): noise(256, 256, 2)}
    out = compose.flatten([Layer(id="a", name="")], tiles, Box(-10, 20, 500, 200))
    assert out.shape == (180, 510, 4)
    assert np.array_equal(out[:, 10:266], tiles["a", 0, 0][20:200])
    assert not out[:, :10].any()


def test_flatten_skips_hidden_layers_and_honours_opacity() -> None:
    red = np.full((256, 256, 4), (255, 0, 0, 255), np.uint8)
    blue = np.full((256, 256, 4), (0, 0, 255, 255), np.uint8)
    tiles = {("r", 0, 0): red, ("b", 0, 0): blue, ("h", 0, 0): np.full_like(red, 255)}
    layers = [Layer(id="r", name=""), Layer(id="b", name="", opacity=0.5), Layer(id="h", name="", visible=False)]
    assert compose.flatten(layers, tiles, Box(0, 0, 1, 1))[0, 0].tolist() == [128, 0, 128, 255]


@given(x=st.integers(-300, 300), y=st.integers(-300, 300), w=st.integers(1, 600), h=st.integers(1, 600))
@settings(max_examples=30)
def test_c11_a_split_patch_joins_to_what_it_was(x: int, y: int, w: int, h: int) -> None:
    box = Box(x, y, x + w, y + h)
    patch = noise(h, w, 9)
    patch[..., 3] |= 1
    out = np.zeros_like(patch)
    for tx, ty, part in patches.split(patch, box):
        frame = tile_box(tx, ty)
        inside = frame.intersect(box)
        out[inside.y0 - y : inside.y1 - y, inside.x0 - x : inside.x1 - x] = patches.crop(part, frame, box)
    assert np.array_equal(out, patch)


def test_c3_a_large_box_is_cut_on_the_tile_grid() -> None:
    parts = patches.chunks(Box(100, 100, 5000, 2100))
    assert sum(part.area for part in parts) == 4900 * 2000
    assert all(part.x0 % 256 == 0 or part.x0 == 100 for part in parts)
    assert max(part.width for part in parts) <= 2048


def test_c9_coverage_survives_packing_and_a_bad_one_is_refused() -> None:
    covered = noise(256, 256)[..., 0] > 100
    assert np.array_equal(coverage.unpack(coverage.pack(covered)), covered)
    for bad in (b"", b"x", coverage.pack(covered)[:-30]):
        with pytest.raises(BadInput):
            coverage.unpack(bad)


def test_c2_a_mip_tile_averages_in_premultiplied_alpha() -> None:
    tile = np.zeros((256, 256, 4), np.uint8)
    tile[0::2, 0::2] = (200, 100, 0, 255)
    tile[0::2, 1::2] = (1, 2, 3, 0)
    reduced = mips.reduce_four([tile, None, None, None])
    assert reduced is not None
    assert reduced[0, 0].tolist() == [200, 100, 0, 64]
    assert not reduced[128:].any()
    assert mips.reduce_four([None] * 4) is None


def test_c2_halving_an_opaque_tile_is_the_rounded_mean() -> None:
    tile = noise(256, 256)
    tile[..., 3] = 255
    exact = tile.reshape(128, 2, 128, 2, 4).astype(np.float64).mean(axis=(1, 3))
    assert np.abs(mips.halve(tile) - exact).max() <= 0.5
