"""Recolours a picture to a colour word, keeping its shading."""

from __future__ import annotations

import numpy as np

from nanobana_engine.models.nano.arrays import Floats, Picture, vector
from nanobana_engine.models.nano.words import COLOURS

_LUMA = vector(0.299, 0.587, 0.114)


def recolour(picture: Picture, colour: str) -> Picture:
    """(H, W, 4) RGBA with its saturated parts (all of it, if it has few) brought to the word's hue and tone."""
    pixels = picture[..., :3].astype(np.float32) / 255
    opaque = picture[..., 3] > 32
    if not opaque.any():
        return picture
    luma = pixels @ _LUMA
    chroma = np.ptp(pixels, axis=-1)
    target = vector(*COLOURS[colour])
    share = np.clip((chroma - 0.08) / 0.15, 0, 1) * _belongs(pixels, chroma * opaque)
    if float(share[opaque].mean()) < 0.45:
        share = np.maximum(share, np.clip((luma - 0.12) / 0.1, 0, 1) * 0.95)
    weight = share * opaque
    middle = float((luma * weight).sum() / max(1.0, float(weight.sum())))
    spread = 0.55 if colour in ("black", "white") else 0.9
    tone = (luma - middle) * spread
    ramp = np.where(
        tone[..., None] > 0,
        target + (1 - target) * np.clip(tone / max(0.15, 1 - middle), 0, 1)[..., None] * 0.8,
        target * (1 + tone / max(0.15, middle))[..., None],
    )
    mixed = pixels + (np.clip(ramp, 0, 1) - pixels) * share[..., None]
    return np.concatenate([np.round(mixed * 255).astype(np.uint8), picture[..., 3:]], axis=-1)


def _belongs(pixels: Floats, chroma: Floats) -> Floats:
    """(H, W): 1 where a pixel has the picture's main hue, 0 on accents (a leaf), 1 all over if it is motley."""
    alpha, beta = pixels @ vector(1, -0.5, -0.5), pixels @ vector(0, 0.866, -0.866)
    norm = np.maximum(np.hypot(alpha, beta), 1e-4)
    x, y = alpha / norm, beta / norm
    angles = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    support = [float((chroma * (x * np.cos(a) + y * np.sin(a) > 0.7)).sum()) for a in angles]
    best = angles[int(np.argmax(support))]
    close = np.clip((x * np.cos(best) + y * np.sin(best) - 0.1) / 0.3, 0, 1)
    if max(support) < 0.5 * max(1e-6, float(chroma.sum())):
        return np.ones_like(chroma)
    result: Floats = close.astype(np.float32)
    return result
