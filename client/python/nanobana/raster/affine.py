"""Moving, scaling, turning and flipping pixels: the one resampler, so that every canvas gets the same bytes (C14)."""

from math import ceil, cos, floor, hypot, log2, radians, sin

import numpy as np
import numpy.typing as npt
from PIL import Image

from nanobana.protocol.geometry import Affine, Box
from nanobana.raster.pixels import Rgba

Samples = npt.NDArray[np.float64]

MOST_HALVINGS = 6
"""As far as sources are averaged by powers of two before they are filtered."""

SUPPORT = 2
"""Reach of the cubic filter, in pixels of the coarser side."""

_EXACT = 1e-6


def about(
    x: float, y: float, *, dx: float = 0.0, dy: float = 0.0, sx: float = 1.0, sy: float = 1.0, degrees: float = 0.0
) -> Affine:
    """Scaled (by less than 0: flipped too) and then turned clockwise about a point, and the point shifted."""
    cosine, sine = cos(radians(degrees)), sin(radians(degrees))
    a, b, c, d = sx * cosine, sx * sine, -sy * sine, sy * cosine
    return (a, b, c, d, x - a * x - c * y + dx, y - b * x - d * y + dy)


def determinant(matrix: Affine) -> float:
    a, b, c, d, _e, _f = matrix
    return a * d - b * c


def scales(matrix: Affine) -> tuple[float, float]:
    """How long a pixel's width and height become."""
    a, b, c, d, _e, _f = matrix
    return hypot(a, b), hypot(c, d)


def inverse(matrix: Affine) -> Affine:
    a, b, c, d, e, f = matrix
    det = determinant(matrix)
    return (d / det, -b / det, -c / det, a / det, (c * f - d * e) / det, (b * e - a * f) / det)


def reach(matrix: Affine, box: Box, *, margin: tuple[float, float] = (0.0, 0.0)) -> Box:
    """The whole pixels around a transformed box, and a margin around them in both directions."""
    a, b, c, d, e, f = matrix
    corners = [(x, y) for x in (box.x0, box.x1) for y in (box.y0, box.y1)]
    xs = [a * x + c * y + e for x, y in corners]
    ys = [b * x + d * y + f for x, y in corners]
    mx, my = margin
    return Box(
        floor(min(xs) - mx + _EXACT),
        floor(min(ys) - my + _EXACT),
        ceil(max(xs) + mx - _EXACT),
        ceil(max(ys) + my - _EXACT),
    )


def is_exact(matrix: Affine) -> bool:
    """Every pixel lands on a pixel: whole steps, quarter turns and flips, which lose nothing."""
    a, b, c, d, e, f = matrix
    lines = {tuple(round(n) for n in pair) for pair in ((a, b), (c, d))}
    return (
        lines <= {(1, 0), (-1, 0), (0, 1), (0, -1)}
        and len({abs(x) for x, _y in lines}) == 2
        and all(abs(n - round(n)) < _EXACT for n in (a, b, c, d, e, f))
    )


def halvings(matrix: Affine) -> int:
    """How often sources are halved before they are filtered: as often as neither direction gets too coarse."""
    longest = max(scales(matrix))
    return 0 if longest > 0.5 else min(MOST_HALVINGS, floor(log2(1.0 / longest)))


def source_of(matrix: Affine, box: Box) -> Box:
    """The pixels that `drawn` needs to make those of a box."""
    margin = 2 * SUPPORT + 2
    sx, sy = (min(1.0, scale) for scale in scales(matrix))
    return reach(inverse(matrix), box, margin=(margin / sx, margin / sy))


def drawn(window: Rgba, frame: Box, matrix: Affine, box: Box) -> Rgba:
    """The pixels of a box after a transformation.

    Exact copies where pixels land on pixels. Otherwise a cubic filter, as wide as a pixel of the coarser side, in
    premultiplied alpha; an opaque rectangle that stays upright keeps its edges sharp.

    Args:
        window: the pixels of `frame`, which holds `source_of(matrix, box)`.
        matrix: of canvas pixels, whose centres are at halves.

    Returns:
        [box.height, box.width, 4].
    """
    if is_exact(matrix):
        return _copied(window, frame, matrix, box)
    a, b, c, d, _e, _f = matrix
    if max(abs(a), abs(d)) < _EXACT or max(abs(b), abs(c)) < _EXACT:
        return _upright(window, frame, matrix, box)
    return _turned(window, frame, matrix, box)


def _copied(window: Rgba, frame: Box, matrix: Affine, box: Box) -> Rgba:
    a, b, c, d, e, f = inverse(matrix)
    y, x = np.mgrid[box.y0 : box.y1, box.x0 : box.x1] + 0.5
    column = np.floor(a * x + c * y + e).astype(np.int64) - frame.x0
    row = np.floor(b * x + d * y + f).astype(np.int64) - frame.y0
    inside = (column >= 0) & (column < frame.width) & (row >= 0) & (row < frame.height)
    out = np.zeros((box.height, box.width, 4), np.uint8)
    out[inside] = window[row[inside], column[inside]]
    return out


def _upright(window: Rgba, frame: Box, matrix: Affine, box: Box) -> Rgba:
    """Without turning, but for quarters: one filter a direction."""
    a, b, c, d, e, f = matrix
    x0, y0, sx, sy = frame.x0, frame.y0, a, d
    if abs(a) < _EXACT:
        window, x0, y0, sx, sy = window.swapaxes(0, 1), frame.y0, frame.x0, c, b
    if sx < 0:
        window, x0, sx = window[:, ::-1], -(x0 + window.shape[1]), -sx
    if sy < 0:
        window, y0, sy = window[::-1], -(y0 + window.shape[0]), -sy
    rect = _opaque(window)
    if rect is not None:
        pad_x, pad_y = ceil((SUPPORT + 1) / min(1.0, sx)) + 1, ceil((SUPPORT + 1) / min(1.0, sy)) + 1
        window = np.pad(window[rect.y0 : rect.y1, rect.x0 : rect.x1], ((pad_y, pad_y), (pad_x, pad_x), (0, 0)), "edge")
        rect = rect.shift(x0, y0)
        x0, y0 = rect.x0 - pad_x, rect.y0 - pad_y
    across, down = _line(x0, window.shape[1], sx, e, box.x0, box.x1), _line(y0, window.shape[0], sy, f, box.y0, box.y1)
    out = np.zeros((box.height, box.width, 4), np.uint8)
    if across is None or down is None:
        return out
    (left, right, from_x, to_x), (top, bottom, from_y, to_y) = across, down
    image = Image.fromarray(np.ascontiguousarray(window))
    size = right - left, bottom - top
    part = image.resize(size, Image.Resampling.BICUBIC, box=(from_x, from_y, to_x, to_y))
    out[top - box.y0 : bottom - box.y0, left - box.x0 : right - box.x0] = np.asarray(part)
    if rect is not None:
        columns = _covered(sx * rect.x0 + e, sx * rect.x1 + e, box.x0, box.x1)
        rows = _covered(sy * rect.y0 + f, sy * rect.y1 + f, box.y0, box.y1)
        out[..., 3] = np.rint(255.0 * rows[:, None] * columns[None, :])
        out[out[..., 3] == 0] = 0
    return out


def _line(
    start: int, size: int, scale: float, shift: float, low: int, high: int
) -> tuple[int, int, float, float] | None:
    """Of the pixels low … high those that a line of sources makes, and the stretch of it that they come from."""
    first = max(low, ceil(scale * start + shift - _EXACT))
    last = min(high, floor(scale * (start + size) + shift + _EXACT))
    if last <= first:
        return None
    begin, end = ((edge - shift) / scale - start for edge in (first, last))
    return first, last, max(0.0, begin), min(float(size), end)


def _covered(begin: float, end: float, low: int, high: int) -> Samples:
    """How much of each pixel low … high lies between two edges."""
    edges = np.arange(low, high, dtype=np.float64)
    covered: Samples = np.clip(np.minimum(edges + 1.0, end) - np.maximum(edges, begin), 0.0, 1.0)
    return covered


def _opaque(window: Rgba) -> Box | None:
    """The rectangle that is opaque, where there is nothing beside it."""
    alpha = window[..., 3]
    rows, columns = np.flatnonzero(alpha.any(axis=1)), np.flatnonzero(alpha.any(axis=0))
    if rows.size == 0:
        return None
    box = Box(int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1)
    return box if bool((alpha[box.y0 : box.y1, box.x0 : box.x1] == 255).all()) else None


def _turned(window: Rgba, frame: Box, matrix: Affine, box: Box) -> Rgba:
    """Smaller first, on a lattice that all windows share, then turned."""
    image = Image.fromarray(np.ascontiguousarray(window))
    sx, sy = (min(1.0, scale) for scale in scales(matrix))
    left, top = ceil(frame.x0 * sx), ceil(frame.y0 * sy)
    size = floor(frame.x1 * sx) - left, floor(frame.y1 * sy) - top
    if min(size) <= 0:
        return np.zeros((box.height, box.width, 4), np.uint8)
    if min(sx, sy) < 1.0:
        corner = left / sx - frame.x0, top / sy - frame.y0
        far = min(frame.width, corner[0] + size[0] / sx), min(frame.height, corner[1] + size[1] / sy)
        image = image.resize(size, Image.Resampling.BICUBIC, box=(*corner, *far))
    a, b, c, d, e, f = inverse(matrix)
    data = (
        a * sx, c * sx, (a * box.x0 + c * box.y0 + e) * sx - left,
        b * sy, d * sy, (b * box.x0 + d * box.y0 + f) * sy - top,
    )  # fmt: skip
    made = image.transform((box.width, box.height), Image.Transform.AFFINE, data, Image.Resampling.BICUBIC)
    return np.array(made)
