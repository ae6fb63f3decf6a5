"""The one resampler: exact where it can be, sharp-edged and even where it cannot, however it is cut (C14)."""

import numpy as np
import pytest

from nanobana.protocol.geometry import Affine, Box, tile_box, tiles_of
from nanobana.raster import affine
from nanobana.raster.patches import crop
from nanobana.raster.pixels import Rgba

PICTURE = Box(40, 30, 240, 180)


def about(box: Box, sx: float, sy: float, degrees: float) -> Affine:
    """Scaled and turned about the middle of a box."""
    return affine.about((box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2, sx=sx, sy=sy, degrees=degrees)


def photo(box: Box, *, alpha: bool = False) -> Rgba:
    """Smooth colours that differ everywhere, so that a wrong place is seen."""
    y, x = np.mgrid[0 : box.height, 0 : box.width]
    planes = [127 + 120 * np.sin(x / 17), 127 + 120 * np.cos(y / 23), (x + 2 * y) % 256 / 2 + 60]
    planes.append(127 + 120 * np.sin((x + y) / 29) if alpha else np.full(x.shape, 255.0))
    made: Rgba = np.rint(np.stack(planes, axis=-1)).astype(np.uint8)
    return made


def drawn(pixels: Rgba, frame: Box, matrix: Affine, box: Box) -> Rgba:
    """`drawn` with exactly the window that it asks for."""
    wanted = affine.source_of(matrix, box)
    window = np.zeros((wanted.height, wanted.width, 4), np.uint8)
    both = wanted.intersect(frame)
    if not both.is_empty:
        to = np.s_[both.y0 - wanted.y0 : both.y1 - wanted.y0, both.x0 - wanted.x0 : both.x1 - wanted.x0]
        window[to] = crop(pixels, frame, both)
    return affine.drawn(window, wanted, matrix, box)


@pytest.mark.parametrize(
    ("matrix", "turned"),
    [
        ((1, 0, 0, 1, 13, -7), lambda p: p),
        ((-1, 0, 0, 1, 280, 0), lambda p: p[:, ::-1]),
        ((1, 0, 0, -1, 0, 210), lambda p: p[::-1]),
        (about(Box(0, 0, 100, 100), 1, 1, 90), lambda p: np.rot90(p, -1)),
        (about(Box(0, 0, 100, 100), 1, 1, 180), lambda p: np.rot90(p, 2)),
        (about(Box(0, 0, 100, 100), -1, 1, 270), lambda p: np.rot90(p[:, ::-1], -3)),
    ],
)
def test_c14_whole_steps_quarter_turns_and_flips_copy_every_byte(matrix: Affine, turned: object) -> None:
    pixels = photo(PICTURE, alpha=True)
    pixels[5:9, 5:9] = (9, 8, 7, 0)  # colour under no alpha goes along too
    assert callable(turned) and affine.is_exact(matrix)
    assert (drawn(pixels, PICTURE, matrix, affine.reach(matrix, PICTURE)) == turned(pixels)).all()


@pytest.mark.parametrize("scale", [3.0, 1.4, 0.5, 0.21])
def test_c14_an_upright_opaque_picture_keeps_sharp_edges_and_its_colours(scale: float) -> None:
    pixels = np.full((PICTURE.height, PICTURE.width, 4), (200, 120, 40, 255), np.uint8)
    matrix = (scale, 0.0, 0.0, scale, 0.0, 0.0)
    inner = Box(*(round(scale * edge) for edge in (40, 30, 240, 180)))
    found = drawn(pixels, PICTURE, matrix, inner.grow(3))
    assert (found[4:-4, 4:-4] == (200, 120, 40, 255)).all()
    assert (found[found[..., 3] > 0][:, :3] == (200, 120, 40)).all()
    area = found[..., 3].astype(float).sum() / 255
    assert area == pytest.approx(scale * scale * PICTURE.area, rel=0.004)
    assert not found[:2].any() and not found[-2:].any()


@pytest.mark.parametrize("degrees", [0.0, 30.0, -117.0])
@pytest.mark.parametrize("scale", [1.7, 0.8, 0.3])
def test_c14_the_middle_stays_where_it_is_and_looks_as_it_did(scale: float, degrees: float) -> None:
    pixels = photo(PICTURE)
    matrix = about(PICTURE, scale, scale, degrees)
    found = drawn(pixels, PICTURE, matrix, Box(132, 97, 148, 113))
    x, y = np.meshgrid(np.arange(132, 148) + 0.5, np.arange(97, 113) + 0.5)
    a, b, c, d, e, f = affine.inverse(matrix)
    sx, sy = a * x + c * y + e - PICTURE.x0 - 0.5, b * x + d * y + f - PICTURE.y0 - 0.5
    wanted = np.stack([127 + 120 * np.sin(sx / 17), 127 + 120 * np.cos(sy / 23)], axis=-1)
    assert np.abs(found[..., :2] - wanted).max() < 4  # the waves are long: a filter flattens them by 2 levels at 0.3
    assert (found[..., 3] == 255).all()


@pytest.mark.parametrize(
    "matrix",
    [
        about(PICTURE, 0.62, 0.9, 0),
        about(PICTURE, 2.3, 2.3, 0),
        about(PICTURE, 0.4, 0.4, 33),
        about(PICTURE, -1.5, 1, 12),
    ],
)
def test_c14_pieces_join_without_a_seam(matrix: Affine) -> None:
    pixels = photo(PICTURE)
    whole = Box(0, 0, 512, 256)
    at_once = drawn(pixels, PICTURE, matrix, whole)
    for place in tiles_of(whole):
        part = drawn(pixels, PICTURE, matrix, tile_box(*place))
        apart = np.abs(part.astype(int) - crop(at_once, whole, tile_box(*place)))
        assert apart.max() <= 1  # how a window is cut moves a sum by a rounding


def test_c14_a_soft_picture_made_smaller_keeps_its_weight_and_no_dark_rim() -> None:
    pixels = np.zeros((150, 200, 4), np.uint8)
    y, x = np.mgrid[0:150, 0:200]
    pixels[...] = (220, 30, 90, 0)
    pixels[..., 3] = np.clip(300 - 5 * np.hypot(x - 100, y - 75), 0, 255)
    pixels[pixels[..., 3] == 0] = 0
    found = drawn(pixels, PICTURE, about(PICTURE, 0.4, 0.4, 20), Box(80, 60, 200, 150))
    weight = found[..., 3].astype(float).sum()
    assert weight == pytest.approx(0.16 * pixels[..., 3].astype(float).sum(), rel=0.01)
    strong = found[found[..., 3] > 64][:, :3].astype(int)
    assert np.abs(strong - (220, 30, 90)).max() <= 8  # two roundings to 8 bits, at a quarter's alpha
