"""What a prompt's ground and light become: a drawn backdrop that fills the hole, tinted as asked."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.ndimage

from nanobana_engine.models.nano import backgrounds
from nanobana_engine.models.nano.arrays import Bools, Floats, vector
from nanobana_engine.models.nano.setting import LUMA, Setting
from nanobana_engine.models.nano.words import COLOURS

FEATHER = 0.09
"""Width of a backdrop's soft border, frames."""
TRIES = 4
"""Drawings of a ground among which one that fits its surroundings is looked for."""
_LIGHT = {"night": vector(0.25, 0.30, 0.48), "sunset": vector(1.05, 0.80, 0.66)}
_SKIES = {"night": "night", "sunset": "sunset"}


@dataclass(frozen=True, slots=True)
class Ground:
    """A ground as a prompt asks for it."""

    name: str
    colour: str | None
    light: str | None
    seed: int


def draw_ground(wanted: Ground, size: int, setting: Setting | None = None, horizon: float | None = None) -> Floats:
    """A backdrop (size, size, 3) in [0, 1] of a ground that the model knows, in a colour and a light.

    Args:
        setting: of what surrounds it; what is not asked for is taken from there.
        horizon: the setting's, as a share of this backdrop's height.
    """
    name, light = wanted.name, wanted.light
    if light is not None and name in ("sky", "clouds"):
        name = _SKIES[light]
        light = None
    seed = wanted.seed if setting is None or wanted.light is not None else _fitting(name, wanted.seed, setting)
    ground = backgrounds.draw(name, np.random.default_rng(seed), size, horizon)
    if wanted.colour is not None:
        ground = _tinted(ground, wanted.colour)
    if light is not None:
        ground = np.clip(ground * _LIGHT[light], 0, 1)
    elif wanted.light is None and setting is not None:
        ground = _in_setting(ground, setting, keeps_colour=wanted.colour is not None)
    return ground


def _fitting(name: str, seed: int, setting: Setting) -> int:
    """Of some seeds for a drawing the one as bright as its surroundings: no night in the middle of a day."""
    drawn = [backgrounds.draw(name, np.random.default_rng(seed + n), 32) for n in range(TRIES)]
    apart = [abs(float(picture.mean(axis=(0, 1)) @ LUMA) - setting.brightness) for picture in drawn]
    near = [n for n in range(TRIES) if apart[n] < min(apart) + 0.1]
    return seed + near[0]


def _in_setting(ground: Floats, setting: Setting, *, keeps_colour: bool) -> Floats:
    """A drawn ground in the light of its surroundings, and no more colourful than they are."""
    grey = (ground @ LUMA)[..., None]
    vividness = 1.0 if keeps_colour else setting.vividness
    lit: Floats = np.clip((grey + (ground - grey) * np.float32(vividness)) * setting.light, 0, 1)
    return lit.astype(np.float32)


def _tinted(ground: Floats, colour: str) -> Floats:
    """A ground brought to a colour word's tone, its pattern kept."""
    luma = ground @ LUMA
    spread = (luma - luma.mean())[..., None]
    tinted: Floats = np.clip(vector(*COLOURS[colour]) + spread, 0, 1).astype(np.float32)
    return tinted


def backdrop_layer(ground: Floats, hole: Bools, sky_above: float | None = None) -> Floats:
    """The ground as a premultiplied layer (H, W, 4) over the hole, soft where it meets the picture.

    Args:
        sky_above: height, as a share of the hole's plane, above which the picture's own sky goes on.
    """
    depth = scipy.ndimage.distance_transform_edt(np.pad(hole, 1, mode="edge"))[1:-1, 1:-1]
    alpha = np.clip(depth / (FEATHER * max(hole.shape)), 0, 1).astype(np.float32)[..., None]
    if hole.all():
        alpha = np.ones_like(alpha)
    alpha = alpha * alpha * (3 - 2 * alpha)
    if sky_above is not None:
        rows = np.arange(len(hole), dtype=np.float32) + 0.5
        alpha *= np.clip(rows - sky_above * len(hole) + 0.5, 0, 1)[:, None, None]
    return np.concatenate([ground * alpha, alpha], -1)


def in_light(layer: Floats, light: str | None) -> Floats:
    """A premultiplied layer (H, W, 4) as it looks in a light."""
    if light is None:
        return layer
    lit = layer.copy()
    lit[..., :3] *= np.minimum(1, 0.45 * _LIGHT[light] + 0.55) if light == "night" else _LIGHT[light]
    return np.clip(lit, 0, 1)
