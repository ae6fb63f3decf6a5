"""Colour of a result matched to the ring around its mask, where the truth is known (E6)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import scipy.ndimage
from PIL import Image

from nanobana_engine.engine.lab import from_lab, lab_of
from nanobana_engine.planner.prefill import prefill
from nanobana_engine.planner.resample import to_bytes

Floats = npt.NDArray[np.float32]
Bytes = npt.NDArray[np.uint8]
Bools = npt.NDArray[np.bool_]
Places = npt.NDArray[np.intp]

FEWEST, MOST = 64, 8192
"""Ring pixels below the first say too little; of more than the second, evenly spread ones are looked at."""
CAST = 8.0
"""Differences well above this in L, a or b are content (a shadow, an object over the edge), not a colour cast."""
STEADY = 3.0
"""A cast is the same everywhere: where differences scatter more than this around their median, it is trusted less."""
CELL, CELLS = 4, 96
"""Pixels along a cell, at least, and cells along a side, at the most: casts are smooth, so they are computed for cells
and added to the picture in full."""
ALONG = 8.0
"""Pixels over which the leftover difference is averaged along the ring."""
CONTRAST = (0.9, 1.1)
"""Bounds of the contrast factor."""
NOTHING = 1e-3
"""A change of L, a or b that is none."""


def match_colour(generated: Floats, original: Bytes, ring: Bools, *, far: float) -> Floats:
    """The generated picture with the ring's statistics made those of the original.

    Args:
        generated: [h, w, 3] in 0..1.
        original: [h, w, 3].
        ring: [h, w]; outside the user's mask and inside D > 0: both pictures show the same thing there.
        far: pixels from the ring at which half of the leftover difference is still added.

    Returns:
        [h, w, 3]; `generated` itself where nothing differs in the ring. The median of L, a and b and the spread of L
        are matched over the ring; what then still differs slowly along it is added, fading to 0 inside the mask.
    """
    rows, columns = np.nonzero(ring)
    if rows.size < FEWEST:
        return generated
    every = -(-rows.size // MOST)
    rows, columns = rows[::every], columns[::every]
    there, here = lab_of(original[rows, columns]), lab_of(to_bytes(generated[rows, columns]))
    cell = max(CELL, -(-max(ring.shape) // CELLS))
    cells = lab_of(np.asarray(Image.fromarray(to_bytes(generated)).reduce(cell)))
    # medians of the differences: a shadow or an object across a part of the ring must not drag the whole result
    difference = there - here
    middle = np.median(difference, axis=0)
    scatter = np.median(np.abs(difference - middle), axis=0)
    shift = (_likely(middle) / (1.0 + (scatter / STEADY) ** 2)).astype(np.float32)
    spread = float(here[:, 0].std())
    contrast = float(np.clip(there[:, 0].std() / spread, *CONTRAST)) if spread > 0.5 else 1.0

    def cast(lab: Floats) -> Floats:
        change = np.tile(shift, (*lab.shape[:-1], 1))
        change[..., 0] += np.float32(contrast - 1.0) * (lab[..., 0] - here[:, 0].mean())
        return change

    left = _likely(there - (here + cast(here)))
    change = cast(cells) + _carried_in(left, rows // cell, columns // cell, cells.shape[:2], far / cell, ALONG / cell)
    if float(np.abs(change).max()) < NOTHING:
        return generated
    added = _enlarged(from_lab(cells + change) - from_lab(cells), cell)[: ring.shape[0], : ring.shape[1]]
    matched: Floats = np.clip(generated + added, 0.0, 1.0)
    return matched


def _likely(difference: Floats) -> Floats:
    """Small differences as they are, those beyond CAST fading to nothing."""
    square = (difference / np.float32(1.5 * CAST)) ** 2
    likely: Floats = difference * np.exp(-square * square)
    return likely


def _carried_in(
    left: Floats, rows: Places, columns: Places, shape: tuple[int, int], far: float, along: float
) -> Floats:
    """What is left in the ring, smoothed, carried across the inside like a membrane and fading with the distance.

    Args:
        left: [n, 3].
        rows, columns: [n], the cells that it was found in.
        shape: rows and columns of all cells.
        far, along: in cells.

    Returns:
        [*shape, 3].
    """
    at = rows * shape[1] + columns
    summed = [np.bincount(at, weights, shape[0] * shape[1]) for weights in (*left.T, None)]
    planes = np.stack(summed, axis=-1).reshape(*shape, 4).astype(np.float32)
    unknown = planes[..., 3] == 0
    blurred = scipy.ndimage.gaussian_filter(planes, (along, along, 0), truncate=2.5)
    smooth = blurred[..., :3] / np.maximum(blurred[..., 3:], np.float32(1e-4))
    away = scipy.ndimage.distance_transform_edt(unknown)
    fade = (1.0 / (1.0 + (away / max(far, 0.25)) ** 2)).astype(np.float32)
    carried: Floats = prefill(smooth, unknown) * fade[..., None]
    return carried


def _enlarged(cells: Floats, cell: int) -> Floats:
    """[rows, columns, 3] at the picture's size, at least."""
    size = (cells.shape[1] * cell, cells.shape[0] * cell)
    planes = [
        np.asarray(Image.fromarray(np.ascontiguousarray(plane)).resize(size, Image.Resampling.BILINEAR))
        for plane in np.moveaxis(cells, -1, 0)
    ]
    return np.stack(planes, axis=-1)
