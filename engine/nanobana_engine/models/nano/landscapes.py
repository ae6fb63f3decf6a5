"""Skies, waters, grounds and what they make together: beaches, mountains, roads."""

from __future__ import annotations

import numpy as np

from nanobana_engine.models.nano.arrays import Floats
from nanobana_engine.models.nano.drawing import Rng, colour, coordinates, edge, horizon, mix, noise, parted, vertical

SHORE = 0.45
"""Where a beach begins under a given horizon, as a share of what is left below it."""


def sky(rng: Rng, size: int) -> Floats:
    top, bottom = colour(rng, (0.30, 0.58, 0.93)), colour(rng, (0.70, 0.86, 0.98))
    return vertical(top, bottom, size)


def clouds(rng: Rng, size: int) -> Floats:
    field = noise(rng, size, rng.uniform(2, 4), 4, 1.8)
    return mix(sky(rng, size), colour(rng, (0.97, 0.98, 1.0), 0.02), field * 0.7 - rng.uniform(-0.2, 0.4))


def sunset(rng: Rng, size: int) -> Floats:
    top, bottom = colour(rng, (0.42, 0.27, 0.52), 0.07), colour(rng, (0.98, 0.62, 0.32), 0.06)
    base = vertical(top, bottom, size)
    return mix(base, colour(rng, (0.99, 0.75, 0.60)), noise(rng, size, 3, 3, 3) * 0.3 - 0.15)


def night(rng: Rng, size: int) -> Floats:
    base = vertical(colour(rng, (0.02, 0.02, 0.10), 0.02), colour(rng, (0.08, 0.10, 0.28), 0.03), size)
    for _ in range(int(rng.integers(15, 50))):
        y, x = (rng.random(2) * size).astype(int)
        base[y, x] = np.maximum(base[y, x], rng.uniform(0.5, 1.0))
        base[y, (x + 1) % size] = np.maximum(base[y, (x + 1) % size], rng.uniform(0.2, 0.5))
    return base


def space(rng: Rng, size: int) -> Floats:
    base = night(rng, size) * 0.7
    return mix(base, colour(rng, (0.45, 0.2, 0.6), 0.15), noise(rng, size, 2, 4) * 0.25 - 0.1)


def water(rng: Rng, size: int) -> Floats:
    ripples = noise(rng, size, rng.uniform(10, 18), 3, 5) * 0.5 + noise(rng, size, 3, 2, 2) * 0.3
    return mix(colour(rng, (0.05, 0.42, 0.66)), colour(rng, (0.45, 0.76, 0.88)), ripples * 0.5 + 0.4)


def sea(rng: Rng, size: int, at: float | None = None) -> Floats:
    under = horizon(rng, size, 0.25, 0.55, 0.0, at)
    return parted(clouds(rng, size) if rng.random() < 0.5 else sky(rng, size), water(rng, size), under)


def grass(rng: Rng, size: int) -> Floats:
    field = noise(rng, size, rng.uniform(16, 34), 3, 0.6) * 0.6 + noise(rng, size, 3, 2) * 0.3
    return mix(colour(rng, (0.13, 0.42, 0.10)), colour(rng, (0.50, 0.76, 0.26)), field * 0.4 + 0.5)


def _any_sky(rng: Rng, size: int) -> Floats:
    return (sky, clouds, clouds, sunset, night)[int(rng.choice(5, p=[0.35, 0.25, 0.15, 0.17, 0.08]))](rng, size)


def field(rng: Rng, size: int, at: float | None = None) -> Floats:
    above = _any_sky(rng, size)
    dim = np.float32(0.35 if above.mean() < 0.25 else 1.0)
    return parted(above, grass(rng, size) * dim, horizon(rng, size, 0.3, 0.7, 0.03, at))


def sand(rng: Rng, size: int) -> Floats:
    grain = noise(rng, size, size, 1) * 0.35 + noise(rng, size, 5, 3, 2.5) * 0.35
    return mix(colour(rng, (0.80, 0.66, 0.43)), colour(rng, (0.97, 0.89, 0.69)), grain * 0.4 + 0.5)


def desert(rng: Rng, size: int, at: float | None = None) -> Floats:
    above = sunset(rng, size) if rng.random() < 0.3 else sky(rng, size)
    return parted(above, sand(rng, size), horizon(rng, size, 0.35, 0.65, 0.05, at))


def beach(rng: Rng, size: int, at: float | None = None) -> Floats:
    above = sunset(rng, size) if rng.random() < 0.35 else clouds(rng, size)
    both = parted(above, water(rng, size), horizon(rng, size, 0.25, 0.42, 0.0, at))
    shore = None if at is None else at + SHORE * (1 - at)
    return parted(both, sand(rng, size), horizon(rng, size, 0.55, 0.7, 0.02, shore))


def snow(rng: Rng, size: int, at: float | None = None) -> Floats:
    hills = noise(rng, size, 3, 3) * 0.4 + noise(rng, size, size, 1) * 0.12
    ground = mix(colour(rng, (0.80, 0.87, 0.95), 0.02), colour(rng, (0.98, 0.98, 1.0), 0.01), hills * 0.4 + 0.5)
    if rng.random() < 0.5 and at is None:
        return ground
    return parted(_any_sky(rng, size), ground, horizon(rng, size, 0.3, 0.65, 0.04, at))


def mountains(rng: Rng, size: int, at: float | None = None) -> Floats:
    scene = _any_sky(rng, size)
    dim = np.float32(0.35 if scene.mean() < 0.25 else 1.0)
    for depth in range(3):
        foot = None if at is None or depth < 2 else at
        ridge = horizon(rng, size, 0.25 + 0.17 * depth, 0.4 + 0.2 * depth, 0.11 - 0.025 * depth, foot)
        rock = colour(rng, ((0.62, 0.68, 0.78), (0.44, 0.52, 0.56), (0.28, 0.42, 0.32))[depth])
        scene = parted(scene, (rock + 0.03 * noise(rng, size, 8, 3)[..., None]) * dim, ridge)
    return scene


def forest(rng: Rng, size: int) -> Floats:
    x, _ = coordinates(rng, size)
    leaves = mix(colour(rng, (0.08, 0.24, 0.10)), colour(rng, (0.36, 0.58, 0.22)), noise(rng, size, 9, 4) * 0.4 + 0.45)
    trunks = edge(0.12 - np.abs((x * rng.uniform(4, 7) + 0.03 * noise(rng, size, 2, 2)) % 1 - 0.5), size)
    scene = parted(leaves, np.ones_like(leaves) * colour(rng, (0.27, 0.18, 0.11)), trunks * 0.85)
    return parted(scene, grass(rng, size) * np.float32(0.8), horizon(rng, size, 0.65, 0.8, 0.02))


def gravel(rng: Rng, size: int) -> Floats:
    field_ = noise(rng, size, rng.uniform(18, 32), 2) * 0.6
    return mix(colour(rng, (0.36, 0.34, 0.32)), colour(rng, (0.72, 0.70, 0.66)), field_ * 0.45 + 0.5)


def road(rng: Rng, size: int, at: float | None = None) -> Floats:
    axis = (np.arange(size, dtype=np.float32) + 0.5) / size
    y, x = np.meshgrid(axis, axis, indexing="ij")
    line = np.float32(rng.uniform(0.3, 0.45))
    if at is not None:
        line = np.float32(at)
    depth = np.clip((y - line) / max(np.float32(0.05), 1 - line), 0.001, 1)
    across = np.abs(x - 0.5 + np.float32(rng.uniform(-0.15, 0.15)) * (1 - depth)) / depth
    asphalt = colour(rng, (0.32, 0.32, 0.34), 0.03) + 0.03 * noise(rng, size, size, 1)[..., None]
    scene = parted(grass(rng, size), asphalt.astype(np.float32), edge((0.62 - across) * depth, size))
    dashes = edge((0.025 - across) * depth, size) * (np.sin(7 / depth) > 0)
    scene = parted(scene, np.ones_like(scene) * np.float32(0.92), dashes.astype(np.float32))
    return parted(_any_sky(rng, size), scene, edge(y - line, size))
