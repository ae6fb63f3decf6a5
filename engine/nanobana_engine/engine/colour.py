"""Colour of a result matched to the ring around its mask, where the truth is known (E6)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import scipy.ndimage
from PIL import Image

from nanobana_engine.engine.lab import from_lab, to_lab
from nanobana_engine.planner.prefill import prefill

Floats = npt.NDArray[np.float32]
Bools = npt.NDArray[np.bool_]

FEWEST = 64
"""Ring pixels below this say too little."""
CAST = 8.0
"""Differences well above this in L, a or b are content (a shadow, an object over the edge), not a colour cast."""
STEADY = 3.0
"""A cast is the same everywhere: where differences scatter more than this around their median, it is trusted less."""
ALONG = 2.0
"""Quarter pixels over which the leftover difference is averaged along the ring."""
CONTRAST = (0.9, 1.1)
"""Bounds of the contrast factor."""
SHRINK = 4
"""The residual is smooth: it is computed at a quarter of the size."""


def match_colour(generated: Floats, original: Floats, ring: Bools, *, far: float) -> Floats:
    """The generated picture with the ring's statistics made those of the original.

    Args:
        generated, original: [h, w, 3] in 0..1.
        ring: [h, w]; outside the user's mask and inside D > 0: both pictures show the same thing there.
        far: pixels from the ring at which half of the leftover difference is still added.

    Returns:
        [h, w, 3]; exactly `generated` where nothing differs in the ring. Mean of L, a and b and the spread of L are
        matched over the ring; what then still differs slowly along it is added, fading to 0 inside the mask.
    """
    if int(ring.sum()) < FEWEST:
        return generated
    lab = to_lab(generated)
    there, here = to_lab(original[ring]), lab[ring]
    # medians of the differences: a shadow or an object across a part of the ring must not drag the whole result
    difference = there - here
    middle = np.median(difference, axis=0)
    scatter = np.median(np.abs(difference - middle), axis=0)
    shift = _likely(middle) / (1.0 + (scatter / STEADY) ** 2)
    centre = here.mean(axis=0)[0]
    spread = float(here[:, 0].std())
    contrast = float(np.clip(there[:, 0].std() / spread, *CONTRAST)) if spread > 0.5 else 1.0
    change = np.broadcast_to(shift, lab.shape).astype(np.float32).copy()
    change[..., 0] += (contrast - 1.0) * (lab[..., 0] - centre)
    left = np.zeros_like(lab)
    left[ring] = _likely(there - (here + change[ring]))
    change += _carried_in(left, ring, far)
    if float(np.abs(change).max()) < 1e-3:
        return generated
    matched: Floats = np.clip(from_lab(lab + change), 0.0, 1.0).astype(np.float32)
    # there and back is not the very same value: what hardly changes stays as it is
    return np.where(np.abs(change).max(axis=-1, keepdims=True) < 1e-3, generated, matched)


def _likely(difference: Floats) -> Floats:
    """Small differences as they are, those beyond CAST fading to nothing."""
    likely: Floats = (difference * np.exp(-((difference / (1.5 * CAST)) ** 4))).astype(np.float32)
    return likely


def _carried_in(left: Floats, ring: Bools, far: float) -> Floats:
    """What is left in the ring, smoothed, carried across the inside like a membrane and fading with the distance.

    Computed at a quarter of the size: it is smooth.
    """
    height, width = ring.shape
    padded = ((0, -height % SHRINK), (0, -width % SHRINK), (0, 0))
    planes = np.pad(np.dstack([left * ring[..., None], ring.astype(np.float32)]), padded)
    rows, columns = planes.shape[0] // SHRINK, planes.shape[1] // SHRINK
    small = planes.reshape(rows, SHRINK, columns, SHRINK, 4).mean(axis=(1, 3))
    known = small[..., 3] > 0
    blurred = scipy.ndimage.gaussian_filter(small, (ALONG, ALONG, 0), truncate=2.5)
    low = (blurred[..., :3] / np.maximum(blurred[..., 3:4], 1e-4)).astype(np.float32)
    away = scipy.ndimage.distance_transform_edt(~known) * SHRINK
    fade = 1.0 / (1.0 + (away / max(far, 1.0)) ** 2)
    membrane = prefill(low * known[..., None], ~known) * fade[..., None].astype(np.float32)
    size = (columns * SHRINK, rows * SHRINK)
    large = [
        Image.fromarray(np.ascontiguousarray(membrane[..., each])).resize(size, Image.Resampling.BILINEAR)
        for each in range(3)
    ]
    carried: Floats = np.stack([np.asarray(plane) for plane in large], axis=-1)[:height, :width]
    return carried
