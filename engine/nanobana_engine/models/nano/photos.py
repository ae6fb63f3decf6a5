"""Crops of the public-domain photographs that ship in scikit-image's wheel, as backgrounds for training."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image

from nanobana_engine.models.nano.arrays import Floats

PHOTOGRAPHS = {
    "astronaut.png": "NASA, public domain",
    "brick.png": "CC0Textures, CC0",
    "chelsea.png": "Stefan van der Walt, CC0",
    "clock_motion.png": "Stefan van der Walt, public domain",
    "coffee.png": "Rachel Michetti, CC0",
    "grass.png": "linolafett, CC0",
    "gravel.png": "CC0Textures, CC0",
    "hubble_deep_field.jpg": "NASA, public domain",
    "rocket.jpg": "SpaceX, public domain",
}
"""File and source, as scikit-image's own documentation states it; files without a clear statement are not used."""

HELD_OUT_PHOTOGRAPHS = {"camera.png": "Lav Varshney, CC0"}
"""Never trained on: for tests and figures. The right quarter of coffee.png is held out too."""


@lru_cache(maxsize=16)
def photograph(name: str) -> Floats:
    """One photograph as (H, W, 3) in [0, 1]; grey ones have three equal channels."""
    import skimage  # here, because only training needs it

    path = Path(skimage.__file__).parent / "data" / name
    with Image.open(path) as image:
        pixels: Floats = np.asarray(image.convert("RGB"), np.float32) / np.float32(255)
        return pixels


def crop(rng: np.random.Generator, size: int, held_out: bool = False) -> Floats:
    """A random square of a photograph resized to (size, size, 3): flipped, tinted if grey, its light varied."""
    if held_out:
        whole = photograph("camera.png") if rng.random() < 0.5 else photograph("coffee.png")[:, 450:]
    else:
        name = str(rng.choice(list(PHOTOGRAPHS)))
        whole = photograph(name)
        whole = whole[:, :450] if name == "coffee.png" else whole
    height, width = whole.shape[:2]
    side = int(rng.uniform(min(size, 0.5 * min(height, width)), min(height, width)))
    top, left = int(rng.integers(0, height - side + 1)), int(rng.integers(0, width - side + 1))
    square = Image.fromarray((whole[top : top + side, left : left + side] * 255).astype(np.uint8))
    pixels: Floats = np.asarray(square.resize((size, size), Image.Resampling.LANCZOS), np.float32) / 255
    if rng.random() < 0.5:
        pixels = pixels[:, ::-1]
    if np.ptp(pixels, axis=-1).max() < 0.02 and rng.random() < 0.8:
        dark, light = rng.uniform(0, 0.35, 3), rng.uniform(0.55, 1.0, 3)
        pixels = dark + (light - dark) * pixels
    gain = rng.uniform(0.8, 1.15) * rng.uniform(0.94, 1.06, 3)
    return np.clip(pixels * gain, 0, 1).astype(np.float32)
