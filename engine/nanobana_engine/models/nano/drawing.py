"""What drawn backgrounds are made of: noise, coordinates, blends, and lines that are as sharp at any size."""

from __future__ import annotations

import numpy as np
from PIL import Image

from nanobana_engine.models.nano.arrays import Floats

Rng = np.random.Generator


def colour(rng: Rng, base: tuple[float, float, float], spread: float = 0.05) -> Floats:
    """A colour near `base`."""
    result: Floats = np.clip(np.asarray(base) + rng.normal(0, spread, 3), 0, 1).astype(np.float32)
    return result


def _enlarge(grid: Floats, size: int) -> Floats:
    image = Image.fromarray(grid)
    return np.asarray(image.resize((size, size), Image.Resampling.BICUBIC), np.float32)


def noise(rng: Rng, size: int, cells: float, octaves: int = 3, stretch: float = 1.0) -> Floats:
    """(size, size) smooth noise of mean 0 and deviation near 1; `cells` features a side, longer in x."""
    total: Floats = np.zeros((size, size), np.float32)
    rng = np.random.default_rng(rng.integers(2**62))  # apart, so that a larger picture draws the same scene
    for octave in range(octaves):
        rows = max(2, int(cells * 2**octave))
        columns = max(2, int(rows / stretch))
        if rows > size and octave:
            break
        grid = rng.standard_normal((min(rows, size), min(columns, size)), dtype=np.float32)
        total += _enlarge(grid, size) * 0.55**octave
    return total


def coordinates(rng: Rng, size: int, turn: float = 0.0) -> tuple[Floats, Floats]:
    """Coordinates x, y in [0, 1] over the frame, turned by up to `turn` radians and shifted at random."""
    axis = (np.arange(size, dtype=np.float32) + 0.5) / size
    y, x = np.meshgrid(axis, axis, indexing="ij")
    if turn:
        a = np.float32(rng.uniform(-turn, turn))
        x, y = x * np.cos(a) - y * np.sin(a), x * np.sin(a) + y * np.cos(a)
    return x + np.float32(rng.random()), y + np.float32(rng.random())


def mix(a: Floats, b: Floats, t: Floats) -> Floats:
    """`a` where t (S, S) is 0 or less, `b` where it is 1 or more."""
    result: Floats = a + (b - a) * np.clip(t, 0, 1)[..., None]
    return result


def vertical(top: Floats, bottom: Floats, size: int) -> Floats:
    """From one colour at the top to another at the bottom."""
    t = np.linspace(0, 1, size, dtype=np.float32)[:, None] * np.ones((1, size), np.float32)
    return mix(top, bottom, t)


def parted(top: Floats, bottom: Floats, under: Floats) -> Floats:
    """`bottom` where the mask `under` (S, S) says, `top` elsewhere."""
    result: Floats = top * (1 - under[..., None]) + bottom * under[..., None]
    return result


def edge(distance: Floats, size: int) -> Floats:
    """1 inside (distance > 0), 0 outside, antialiased over a pixel; distance in frames."""
    result: Floats = np.clip(distance * size + 0.5, 0, 1)
    return result


def horizon(rng: Rng, size: int, low: float, high: float, rough: float, at: float | None = None) -> Floats:
    """(size, size) mask of what lies under a rolling line at a height between `low` and `high` (0 is the top).

    Given a height `at`, also one outside the frame, the line lies there and is straight; the same numbers are drawn.
    """
    line = rng.uniform(low, high) + rough * noise(rng, size, 2, 3)[0]
    if at is not None:
        line = np.full_like(line, at)
    y = (np.arange(size, dtype=np.float32) + 0.5)[:, None] / size
    return edge((y - line[None]).astype(np.float32), size)
