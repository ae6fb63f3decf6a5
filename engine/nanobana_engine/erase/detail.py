"""Fine detail for a fill that was made at a smaller scale: each piece borrows that of the known piece it resembles."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import scipy.spatial

from nanobana_engine.planner.resample import resize

Bytes = npt.NDArray[np.uint8]
Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float32]

SIDE, STRIDE = 8, 4
"""Side of a compared piece and the distance between pieces, in small pixels; pieces overlap by half."""
MOST_KNOWN = 40_000
"""Known pieces among which the most alike is looked for."""
DIMENSIONS = 16
"""Principal components by which pieces are compared."""


def with_detail(large: Bytes, small: Bytes, small_hole: Bools, pixels: Bytes, hole: Bools) -> Bytes:
    """The enlarged fill plus the fine detail that the picture has where the fill was copied from.

    Args:
        large: the fill, enlarged: [h, w, 3].
        small: the fill at its own scale, and its hole.
        pixels, hole: the picture at full scale.

    Returns:
        [h, w, 3]; changed inside the hole only.
    """
    height, width = hole.shape
    rows, columns = small_hole.shape
    own = resize(resize(pixels, (columns, rows)), (width, height))
    detail = np.where(hole[..., None], 0.0, pixels.astype(np.float32) - own)
    wanted, known = _pieces(small_hole)
    if not len(wanted) or not len(known):
        return large
    origin = known[_most_alike(small, wanted, known)]
    across, down = width / columns, height / rows
    side = (int(np.ceil(SIDE * down)), int(np.ceil(SIDE * across)))
    window = np.outer(np.hanning(side[0] + 2)[1:-1], np.hanning(side[1] + 2)[1:-1]).astype(np.float32)[..., None]
    total, weights = np.zeros_like(detail), np.zeros((height, width, 1), np.float32)
    for (y, x), (from_y, from_x) in zip(wanted, origin, strict=True):
        to = (min(int(y * down), height - side[0]), min(int(x * across), width - side[1]))
        source = (min(int(from_y * down), height - side[0]), min(int(from_x * across), width - side[1]))
        where = (slice(to[0], to[0] + side[0]), slice(to[1], to[1] + side[1]))
        total[where] += window * detail[source[0] : source[0] + side[0], source[1] : source[1] + side[1]]
        weights[where] += window
    added = np.rint(np.clip(large + total / np.maximum(weights, 1e-6), 0, 255)).astype(np.uint8)
    return np.where(hole[..., None], added, large)


def _pieces(hole: Bools) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Corners (y, x) of the pieces that touch the hole, and of a thinned set of those that do not."""
    height, width = hole.shape
    if height < SIDE or width < SIDE:
        return np.empty((0, 2), np.intp), np.empty((0, 2), np.intp)
    touched: Bools = np.asarray(np.lib.stride_tricks.sliding_window_view(hole, (SIDE, SIDE)).any(axis=(2, 3)))
    wanted = np.argwhere(touched[::STRIDE, ::STRIDE]) * STRIDE
    known = np.argwhere(~touched)
    return wanted, known[:: max(1, len(known) // MOST_KNOWN)]


def _most_alike(small: Bytes, wanted: npt.NDArray[np.intp], known: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
    """For each wanted piece the index of the known one that looks most like it."""
    windows = np.lib.stride_tricks.sliding_window_view(small, (SIDE, SIDE), axis=(0, 1))

    def features(corners: npt.NDArray[np.intp]) -> Floats:
        return windows[corners[:, 0], corners[:, 1]].reshape(len(corners), -1).astype(np.float32)

    there, here = features(known), features(wanted)
    mean = there.mean(axis=0)
    sample = there[:: max(1, len(there) // 4000)] - mean
    _, axes = np.linalg.eigh(sample.T @ sample)
    axes = axes[:, -DIMENSIONS:]
    tree = scipy.spatial.cKDTree((there - mean) @ axes)
    _, found = tree.query((here - mean) @ axes, workers=1)
    return np.asarray(found, np.intp)
