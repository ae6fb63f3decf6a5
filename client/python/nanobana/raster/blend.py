"""Blend modes: a layer's colour where there is one beneath it (W3C Compositing and Blending, Level 1)."""

import numpy as np
import numpy.typing as npt

from nanobana.protocol.canvas import Blend
from nanobana.raster.pixels import Rgba

Floats = npt.NDArray[np.float32]


def blended(base: Rgba, patch: Rgba, blend: Blend) -> Floats:
    """The patch's colour as it is laid over the base: ``(1 - Ab) * Cs + Ab * B(Cb, Cs)``, section 5.6.

    Args:
        base, patch: [h, w, 4], straight alpha.

    Returns:
        [h, w, 3] of 0…255, not rounded; where the base is transparent, the patch's own colour.
    """
    source = patch[..., :3].astype(np.float32)
    if blend == "normal":
        return source
    backdrop = base[..., :3].astype(np.float32)
    alpha = base[..., 3:4].astype(np.float32) * np.float32(1.0 / 255.0)
    return source + alpha * (_mixed(backdrop, source, blend) - source)


def _mixed(backdrop: Floats, source: Floats, blend: Blend) -> Floats:
    """B(Cb, Cs) of section 10.1, on 0…255."""
    product = backdrop * source * np.float32(1.0 / 255.0)
    if blend == "multiply":
        return product
    screened = backdrop + source - product
    if blend == "screen":
        return screened
    # overlay: dark backdrops are multiplied, light ones screened, each at twice the strength
    return np.where(backdrop <= 127.5, 2.0 * product, 2.0 * screened - 255.0)
