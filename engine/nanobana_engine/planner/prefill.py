"""What the model finds in a hole before its first step: the surroundings, carried in smoothly (E4)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image

Floats = npt.NDArray[np.float32]


def prefill(pixels: Floats, hole: npt.NDArray[np.bool_]) -> Floats:
    """The picture with its hole filled by a pyramid: known pixels are averaged down, unknown ones filled on the way up.

    Args:
        pixels: [h, w, 3] in 0..1; what is under the hole has no influence.
        hole: [h, w].

    Returns:
        [h, w, 3]; equal to `pixels` outside the hole; mid-gray where nothing is known at all.
    """
    if not hole.any():
        return pixels
    known = (~hole).astype(np.float32)
    if not known.any():
        return np.full_like(pixels, 0.5)
    filled = _fill(pixels * known[..., None], known)
    return np.where(hole[..., None], filled, pixels).astype(np.float32)


def _fill(weighted: Floats, weight: Floats) -> Floats:
    """Colour times weight and weight → colour everywhere; push-pull by halves (Gortler et al. 1996)."""
    height, width = weight.shape
    here = weighted / np.maximum(weight, 1e-6)[..., None]
    if weight.min() >= 1.0 or max(height, width) <= 1:
        return here.astype(np.float32)
    odd = (height % 2, width % 2)
    tall = np.pad(np.dstack([weighted, weight]), ((0, odd[0]), (0, odd[1]), (0, 0)))
    coarse = tall[0::2, 0::2] + tall[1::2, 0::2] + tall[0::2, 1::2] + tall[1::2, 1::2]
    # a cell with any known pixel counts as known: saturating the weight keeps far colours from washing it out
    total = np.maximum(coarse[..., 3], 1e-6)
    saturated = np.minimum(total, 1.0) * (coarse[..., 3] > 0)
    below = _fill(coarse[..., :3] * (saturated / total)[..., None], saturated.astype(np.float32))
    smooth = np.dstack(
        [
            np.asarray(
                Image.fromarray(np.ascontiguousarray(plane)).resize(
                    (width + odd[1], height + odd[0]), Image.Resampling.BILINEAR
                )
            )
            for plane in np.moveaxis(below, -1, 0)
        ]
    )[:height, :width]
    share = np.minimum(weight, 1.0)[..., None]
    return (here * share + smooth * (1.0 - share)).astype(np.float32)
