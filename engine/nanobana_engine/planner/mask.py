"""The user's mask made clean: faint values dropped, enclosed holes filled, cut to the canvas and its tight box (E1)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.ndimage

from nanobana.protocol.errors import BadInput
from nanobana.protocol.geometry import Box
from nanobana.raster.pixels import Gray

FAINT = 8
"""Values below this, of 255, are nothing."""
GAP = 0.02
"""Share of the canvas below which what a mask all around it encloses is a gap between strokes."""


@dataclass(frozen=True, slots=True)
class CleanMask:
    """`values` [box.height, box.width]: 0 or 8..255; the box is tight and inside the canvas."""

    box: Box
    values: Gray


def clean(mask: Gray, box: Box, canvas: tuple[int, int]) -> CleanMask:
    """What is left of a mask as it was sent.

    Args:
        mask: [box.height, box.width], 255 = regenerate.
        box: where it lies, in canvas pixels; may reach over the canvas.
        canvas: width and height.

    Raises:
        BadInput: ``empty_mask`` where nothing of it is left inside the canvas.
    """
    inside = box.intersect(Box(0, 0, *canvas))
    if not inside.is_empty:
        cut = mask[inside.y0 - box.y0 : inside.y1 - box.y0, inside.x0 - box.x0 : inside.x1 - box.x0]
        rows, columns = (np.flatnonzero(cut.max(axis=axis) >= FAINT) for axis in (1, 0))
        if rows.size:
            top, bottom, left, right = int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1
            tight = Box(inside.x0 + left, inside.y0 + top, inside.x0 + right, inside.y0 + bottom)
            framed = tight == Box(0, 0, *canvas)
            # a copy: a plan that held a part of a larger array would hold all of it
            values = np.where(cut[top:bottom, left:right] < FAINT, np.uint8(0), cut[top:bottom, left:right])
            return CleanMask(tight, _without_holes(values, framed=framed))
    raise BadInput("The mask is empty: paint over what should change, then try again.", code="empty_mask")


def _without_holes(values: Gray, *, framed: bool) -> Gray:
    """Zero regions that do not touch the border of the tight box become 255.

    Where the mask runs all around the canvas it is the other way round: what it encloses is the picture that is to be
    continued outwards, unless it is a mere gap between strokes.

    Args:
        framed: whether the tight box is the whole canvas.
    """
    if values.all():
        return values
    outside = np.pad(values == 0, 1, constant_values=True)
    try:
        regions, count = scipy.ndimage.label(outside, output=np.uint16)
    except RuntimeError:  # more regions than that counts
        regions, count = scipy.ndimage.label(outside)
    if count <= 1:
        return values
    enclosed = (regions[1:-1, 1:-1] != regions[0, 0]) & (values == 0)
    if framed and all(side.all() for side in (values[0], values[-1], values[:, 0], values[:, -1])):
        sizes = np.bincount(regions.ravel())
        enclosed &= sizes[regions[1:-1, 1:-1]] < GAP * values.size
    return np.where(enclosed, np.uint8(255), values).astype(np.uint8)
