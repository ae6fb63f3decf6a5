"""Mip levels: four tiles reduced to one of half the scale, averaged in premultiplied alpha (C2)."""

from collections.abc import Sequence

import numpy as np

from nanobana.protocol.geometry import TILE
from nanobana.raster.pixels import Rgba


def reduce_four(quarters: Sequence[Rgba | None]) -> Rgba | None:
    """One tile of the next level.

    Args:
        quarters: top left, top right, bottom left, bottom right; None where there is no tile.

    Returns:
        [256, 256, 4], None where all four are missing.
    """
    if all(quarter is None for quarter in quarters):
        return None
    out = np.zeros((TILE, TILE, 4), np.uint8)
    half = TILE // 2
    for index, quarter in enumerate(quarters):
        if quarter is not None:
            y, x = divmod(index, 2)
            out[y * half : (y + 1) * half, x * half : (x + 1) * half] = halve(quarter)
    return out


def halve(pixels: Rgba) -> Rgba:
    """Half the width and height by averaging 2 x 2; sides must be even."""
    h, w = pixels.shape[0] // 2, pixels.shape[1] // 2
    alpha = pixels[..., 3]
    if bool((alpha == 255).all()):
        wide = pixels.astype(np.uint16)
        summed = wide[0::2, 0::2] + wide[0::2, 1::2] + wide[1::2, 0::2] + wide[1::2, 1::2]
        return ((summed + 2) >> 2).astype(np.uint8)
    weight = alpha.astype(np.float32)[..., None]
    colour = pixels[..., :3].astype(np.float32) * weight
    colour = colour.reshape(h, 2, w, 2, 3).sum(axis=(1, 3))
    weight = weight.reshape(h, 2, w, 2, 1).sum(axis=(1, 3))
    mixed = np.rint(colour / np.maximum(weight, 1.0))
    return np.concatenate([mixed, np.rint(weight * 0.25)], axis=-1).astype(np.uint8)
