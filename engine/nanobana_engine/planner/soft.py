"""The two soft masks of an edit, from one distance field: D for the denoiser (E1) and C for the stitch (E5)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import scipy.ndimage

from nanobana.protocol.geometry import Box
from nanobana.raster.pixels import Gray
from nanobana_engine.planner.reach import Reach

Plane = npt.NDArray[np.float32]

ERODED = 0.25
"""Part of the reach, at its outer end, in which the model works but nothing is taken from it."""


AT_ONCE = 256
"""Rows of distances that are made at a time."""


def distance(mask: Gray, part: Box | None = None) -> Plane:
    """Pixels to the nearest masked pixel, [h, w]; 0 on the mask. The mask must not be empty.

    Args:
        part: of the mask, in its own pixels, where distances are wanted; None: all of it.
    """
    # of each pixel the nearest masked one; its distances come as floats of twice the size, of every pixel at once
    nearest = scipy.ndimage.distance_transform_edt(mask == 0, return_distances=False, return_indices=True)
    part = part or Box(0, 0, mask.shape[1], mask.shape[0])
    away = np.empty((part.height, part.width), np.float32)
    columns = np.arange(part.x0, part.x1, dtype=np.int32)
    for y0 in range(part.y0, part.y1, AT_ONCE):
        rows = np.arange(y0, min(y0 + AT_ONCE, part.y1), dtype=np.int32)
        down, across = nearest[:, y0 : y0 + len(rows), part.x0 : part.x1]
        squared = (down - rows[:, None]) ** 2 + (across - columns) ** 2
        away[y0 - part.y0 : y0 - part.y0 + len(rows)] = np.sqrt(squared)
    return away


def denoise_mask(away: Plane, reach: Reach) -> Plane:
    """D: 1 on the user's mask, falling smoothly to 0 at grow + feather from it.

    The blur of the dilated mask is taken from the distance field: one pass whatever the radius, 1 on the mask by
    construction, and exactly 0 from the reach on, which a Gaussian's tail is not.
    """
    inner = max(0.0, reach.grow - reach.feather)
    return _fall(away, inner, reach.farthest)


def composite_mask(away: Plane, mask: Gray, reach: Reach, *, exact_edge: bool) -> Gray:
    """C in 1/255 steps, as it is used everywhere: the browser, the server and the engine agree by the byte.

    Args:
        away: `distance` of the mask.
        mask: the cleaned user's mask, same size.
        exact_edge: C is the mask itself, so that nothing outside it changes.

    Returns:
        [h, w]; 255 on the mask, 0 well before D's own end: D > 0 is eroded by a quarter of the reach, for a model's
        newest pixels are worst where its region ends, and then falls over `blend`.
    """
    if exact_edge:
        return mask
    end = (1.0 - ERODED) * reach.farthest
    quantised: Gray = np.rint(_fall(away, max(0.0, end - reach.blend), end) * 255.0).astype(np.uint8)
    return quantised


def on_mask(mask: Gray, *, exact_edge: bool) -> Gray:
    """C where every pixel is masked."""
    return mask if exact_edge else np.full_like(mask, 255)


def allowed(mask: Gray, reach: Reach, *, exact_edge: bool = False) -> npt.NDArray[np.bool_]:
    """Where an edit with this mask may change pixels at all; for tests and benchmarks, which know only the mask."""
    return np.asarray(mask > 0) if exact_edge else np.asarray(distance(mask) <= reach.farthest)


def _fall(away: Plane, start: float, end: float) -> Plane:
    """1 up to `start`, 0 from `end` on, between them 1 − (3t² − 2t³)."""
    t = np.clip((away - np.float32(start)) / np.float32(max(end - start, 1e-3)), 0.0, 1.0)
    fallen: Plane = (1.0 - t * t * (3.0 - 2.0 * t)).astype(np.float32)
    return fallen
