"""Walls, floors, fabrics and studios: blocks, planks, checks and stripes, each in a random size and phase."""

from __future__ import annotations

import numpy as np

from nanobana_engine.models.nano.arrays import Floats, vector
from nanobana_engine.models.nano.drawing import Rng, colour, coordinates, edge, horizon, mix, noise, parted, vertical


def _courses(
    rng: Rng, size: int, rows: float, ratio: float, joint: float, shift: float
) -> tuple[Floats, Floats, Floats]:
    """A wall of blocks: mask of the joints (1 in a joint), and each block's two integer coordinates."""
    x, y = coordinates(rng, size, 0.06 if rng.random() < 0.3 else 0.0)
    v = y * rows
    row = np.floor(v)
    u = x * rows / ratio + shift * (row % 2)
    column = np.floor(u)
    across = np.minimum(v - row, 1 - (v - row)) / rows
    along = np.minimum(u - column, 1 - (u - column)) * ratio / rows
    return 1 - edge(np.minimum(across, along) - joint / 2, size), row, column


def _per_block(rng: Rng, row: Floats, column: Floats) -> Floats:
    """A random value near N(0, 1) for each block of a wall."""
    table = rng.standard_normal((64, 64), dtype=np.float32)
    result: Floats = table[row.astype(np.int64) % 64, column.astype(np.int64) % 64]
    return result


def brick(rng: Rng, size: int) -> Floats:
    joints, row, column = _courses(rng, size, rng.uniform(6, 13), rng.uniform(2, 3), rng.uniform(0.010, 0.022), 0.5)
    base = ((0.66, 0.27, 0.20), (0.72, 0.42, 0.30), (0.55, 0.50, 0.47), (0.80, 0.74, 0.66))[int(rng.integers(4))]
    shade = 0.05 * _per_block(rng, row, column) + 0.03 * noise(rng, size, 20, 2)
    bricks = np.clip(colour(rng, base) + shade[..., None] * vector(1.0, 0.7, 0.6), 0, 1).astype(np.float32)
    mortar = colour(rng, (0.80, 0.76, 0.72) if rng.random() < 0.7 else (0.35, 0.32, 0.30)) * np.ones_like(bricks)
    return parted(bricks, mortar, joints)


def stone(rng: Rng, size: int) -> Floats:
    joints, row, column = _courses(rng, size, rng.uniform(4, 7), rng.uniform(1.2, 2), rng.uniform(0.012, 0.025), 0.5)
    shade = 0.07 * _per_block(rng, row, column) + 0.05 * noise(rng, size, 10, 3)
    blocks = np.clip(colour(rng, (0.56, 0.55, 0.53)) + shade[..., None], 0, 1).astype(np.float32)
    return parted(blocks, np.ones_like(blocks) * colour(rng, (0.33, 0.32, 0.30)), joints)


def tiles(rng: Rng, size: int) -> Floats:
    joints, row, column = _courses(rng, size, rng.uniform(4, 9), 1.0, rng.uniform(0.008, 0.02), 0.0)
    base = rng.uniform(0.45, 0.95, 3)
    shade = rng.choice([0.0, 0.04]) * _per_block(rng, row, column) + 0.01 * noise(rng, size, 4, 2)
    blocks = np.clip(colour(rng, (base[0], base[1], base[2])) + shade[..., None], 0, 1).astype(np.float32)
    return parted(blocks, np.ones_like(blocks) * colour(rng, (0.88, 0.88, 0.86)), joints)


def wood(rng: Rng, size: int) -> Floats:
    joints, row, column = _courses(rng, size, rng.uniform(4, 8), rng.uniform(3, 9), rng.uniform(0.006, 0.014), 0.5)
    grain = noise(rng, size, rng.uniform(24, 40), 2, 12) * 0.05 + 0.045 * _per_block(rng, row, column)
    base = ((0.62, 0.43, 0.26), (0.45, 0.29, 0.17), (0.80, 0.66, 0.47), (0.56, 0.30, 0.20))[int(rng.integers(4))]
    planks = np.clip(colour(rng, base) + grain[..., None], 0, 1).astype(np.float32)
    result = parted(planks, planks * np.float32(0.42), joints)
    return np.ascontiguousarray(result.transpose(1, 0, 2)) if rng.random() < 0.35 else result


def checker(rng: Rng, size: int) -> Floats:
    x, y = coordinates(rng, size, 0.8 if rng.random() < 0.3 else 0.0)
    count = rng.uniform(4, 10)
    wave = np.minimum(np.abs((x * count) % 1 - 0.5), 0.5) - 0.25
    wave_y = np.abs((y * count) % 1 - 0.5) - 0.25
    sign = edge(wave / count, size) * 2 - 1
    sign_y = edge(wave_y / count, size) * 2 - 1
    dark, light = (0.1, 0.95) if rng.random() < 0.4 else (rng.uniform(0.1, 0.5), rng.uniform(0.6, 0.95))
    a, b = colour(rng, (dark,) * 3, 0.12), colour(rng, (light,) * 3, 0.08)
    return mix(a, b, (sign * sign_y + 1) / 2)


def stripes(rng: Rng, size: int) -> Floats:
    x, y = coordinates(rng, size)
    angle = rng.choice([0.0, np.pi / 2, np.pi / 4, -np.pi / 4]) if rng.random() < 0.7 else rng.uniform(0, np.pi)
    count = rng.uniform(4, 11)
    along = (x * np.float32(np.cos(angle)) + y * np.float32(np.sin(angle))) * count
    duty = np.float32(rng.uniform(0.15, 0.3))
    t = edge((duty - np.abs(along % 1 - 0.5)) / count, size)
    a, b = rng.uniform(0.05, 0.95, (2, 3))
    return mix(a.astype(np.float32), b.astype(np.float32), t)


def dots(rng: Rng, size: int) -> Floats:
    x, y = coordinates(rng, size)
    count = rng.uniform(4, 9)
    v = y * count
    u = x * count + 0.5 * (np.floor(v) % 2) * float(rng.integers(2))
    radius = np.hypot(u % 1 - 0.5, v % 1 - 0.5)
    a, b = rng.uniform(0.1, 0.98, (2, 3))
    return mix(
        a.astype(np.float32), b.astype(np.float32), edge((np.float32(rng.uniform(0.15, 0.3)) - radius) / count, size)
    )


def windows(rng: Rng, size: int) -> Floats:
    x, y = coordinates(rng, size)
    rows, columns = rng.uniform(3, 6), rng.uniform(3, 6)
    fx, fy = np.abs((x * columns) % 1 - 0.5), np.abs((y * rows) % 1 - 0.5)
    inside = edge(np.minimum((0.28 - fx) / columns, (0.32 - fy) / rows), size)
    pane = inside * (1 - edge(0.008 - np.minimum(fx / columns, fy / rows), size))
    wall = np.clip(colour(rng, (0.75, 0.68, 0.58), 0.1) + 0.015 * noise(rng, size, 30, 2)[..., None], 0, 1)
    glass = mix(colour(rng, (0.35, 0.5, 0.65)), colour(rng, (0.7, 0.82, 0.92)), (y * rows) % 1)
    frame = parted(wall.astype(np.float32), np.ones_like(glass) * colour(rng, (0.93, 0.92, 0.9), 0.02), inside)
    return parted(frame, glass, pane)


def paper(rng: Rng, size: int) -> Floats:
    base = rng.uniform(0.72, 0.97)
    grain = 0.02 * noise(rng, size, size, 1) + 0.015 * noise(rng, size, 6, 3)
    return np.clip(colour(rng, (base, base * 0.99, base * 0.95), 0.03) + grain[..., None], 0, 1).astype(np.float32)


def plain(rng: Rng, size: int) -> Floats:
    a = rng.uniform(0.05, 0.98, 3).astype(np.float32) if rng.random() < 0.7 else np.full(3, 0.96, np.float32)
    return vertical(a, np.clip(a + rng.normal(0, 0.07, 3), 0, 1).astype(np.float32), size)


def studio(rng: Rng, size: int) -> Floats:
    wall = colour(rng, (0.82, 0.82, 0.86), 0.12)
    floor = np.clip(wall * np.float32(rng.uniform(0.78, 1.1)), 0, 1)
    line = horizon(rng, size, 0.55, 0.75, 0.0)
    return parted(vertical(wall * np.float32(0.9), wall, size), vertical(floor, floor * np.float32(0.93), size), line)
