"""What a prompt's ground and light become: a drawn backdrop that fills the hole, tinted as asked."""

from __future__ import annotations

import numpy as np
import scipy.ndimage

from nanobana_engine.models.nano import backgrounds
from nanobana_engine.models.nano.arrays import Bools, Floats, vector
from nanobana_engine.models.nano.words import COLOURS

FEATHER = 0.09
"""Width of a backdrop's soft border, frames."""
_LIGHT = {"night": vector(0.25, 0.30, 0.48), "sunset": vector(1.05, 0.80, 0.66)}
_SKIES = {"night": "night", "sunset": "sunset"}


def draw_ground(name: str, colour: str | None, light: str | None, rng: np.random.Generator, size: int) -> Floats:
    """A backdrop (size, size, 3) in [0, 1] of a ground that the model knows, in a colour and a light."""
    if light is not None and name in ("sky", "clouds"):
        name = _SKIES[light]
        light = None
    ground = backgrounds.draw(name, rng, size)
    if colour is not None:
        ground = _tinted(ground, colour)
    if light is not None:
        ground = np.clip(ground * _LIGHT[light], 0, 1)
    return ground


def _tinted(ground: Floats, colour: str) -> Floats:
    """A ground brought to a colour word's tone, its pattern kept."""
    luma = ground @ vector(0.299, 0.587, 0.114)
    spread = (luma - luma.mean())[..., None]
    tinted: Floats = np.clip(vector(*COLOURS[colour]) + spread, 0, 1).astype(np.float32)
    return tinted


def backdrop_layer(ground: Floats, hole: Bools) -> Floats:
    """The ground as a premultiplied layer (H, W, 4) over the hole, soft where it meets the picture."""
    depth = scipy.ndimage.distance_transform_edt(np.pad(hole, 1, mode="edge"))[1:-1, 1:-1]
    alpha = np.clip(depth / (FEATHER * max(hole.shape)), 0, 1).astype(np.float32)[..., None]
    if hole.all():
        alpha = np.ones_like(alpha)
    alpha = alpha * alpha * (3 - 2 * alpha)
    return np.concatenate([ground * alpha, alpha], -1)


def in_light(layer: Floats, light: str | None) -> Floats:
    """A premultiplied layer (H, W, 4) as it looks in a light."""
    if light is None:
        return layer
    lit = layer.copy()
    lit[..., :3] *= np.minimum(1, 0.45 * _LIGHT[light] + 0.55) if light == "night" else _LIGHT[light]
    return np.clip(lit, 0, 1)
