"""Backgrounds drawn from noise and geometry at any size: skies, grounds, walls and patterns, each by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

import numpy as np
from PIL import Image

from nanobana_engine.models.nano.arrays import Floats, vector

Rng = np.random.Generator
Stance = Literal["ground", "flat", "air"]
"""How a thing meets the background: it stands on the ground, lies before something flat, or floats."""


def _colour(rng: Rng, base: tuple[float, float, float], spread: float = 0.05) -> Floats:
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


def _grid(rng: Rng, size: int, turn: float = 0.0) -> tuple[Floats, Floats]:
    """Coordinates x, y in [0, 1] over the frame, turned by up to `turn` radians and shifted at random."""
    axis = (np.arange(size, dtype=np.float32) + 0.5) / size
    y, x = np.meshgrid(axis, axis, indexing="ij")
    if turn:
        a = np.float32(rng.uniform(-turn, turn))
        x, y = x * np.cos(a) - y * np.sin(a), x * np.sin(a) + y * np.cos(a)
    return x + np.float32(rng.random()), y + np.float32(rng.random())


def _mix(a: Floats, b: Floats, t: Floats) -> Floats:
    result: Floats = a + (b - a) * np.clip(t, 0, 1)[..., None]
    return result


def _vertical(top: Floats, bottom: Floats, size: int) -> Floats:
    t = np.linspace(0, 1, size, dtype=np.float32)[:, None] * np.ones((1, size), np.float32)
    return _mix(top, bottom, t)


def _under(top: Floats, bottom: Floats, under: Floats) -> Floats:
    result: Floats = top * (1 - under[..., None]) + bottom * under[..., None]
    return result


def _edge(distance: Floats, size: int) -> Floats:
    """1 inside (distance > 0), 0 outside, antialiased over a pixel; distance in frames."""
    result: Floats = np.clip(distance * size + 0.5, 0, 1)
    return result


def _horizon(rng: Rng, size: int, low: float, high: float, rough: float) -> Floats:
    """(size, size) mask of what lies under a rolling line at a height between `low` and `high` (0 is the top)."""
    line = rng.uniform(low, high) + rough * noise(rng, size, 2, 3)[0]
    y = (np.arange(size, dtype=np.float32) + 0.5)[:, None] / size
    return _edge((y - line[None]).astype(np.float32), size)


def sky(rng: Rng, size: int) -> Floats:
    top, bottom = _colour(rng, (0.30, 0.58, 0.93)), _colour(rng, (0.70, 0.86, 0.98))
    return _vertical(top, bottom, size)


def clouds(rng: Rng, size: int) -> Floats:
    field = noise(rng, size, rng.uniform(2, 4), 4, 1.8)
    return _mix(sky(rng, size), _colour(rng, (0.97, 0.98, 1.0), 0.02), field * 0.7 - rng.uniform(-0.2, 0.4))


def sunset(rng: Rng, size: int) -> Floats:
    top, bottom = _colour(rng, (0.42, 0.27, 0.52), 0.07), _colour(rng, (0.98, 0.62, 0.32), 0.06)
    base = _vertical(top, bottom, size)
    return _mix(base, _colour(rng, (0.99, 0.75, 0.60)), noise(rng, size, 3, 3, 3) * 0.3 - 0.15)


def night(rng: Rng, size: int) -> Floats:
    base = _vertical(_colour(rng, (0.02, 0.02, 0.10), 0.02), _colour(rng, (0.08, 0.10, 0.28), 0.03), size)
    for _ in range(int(rng.integers(15, 50))):
        y, x = (rng.random(2) * size).astype(int)
        base[y, x] = np.maximum(base[y, x], rng.uniform(0.5, 1.0))
        base[y, (x + 1) % size] = np.maximum(base[y, (x + 1) % size], rng.uniform(0.2, 0.5))
    return base


def space(rng: Rng, size: int) -> Floats:
    base = night(rng, size) * 0.7
    return _mix(base, _colour(rng, (0.45, 0.2, 0.6), 0.15), noise(rng, size, 2, 4) * 0.25 - 0.1)


def water(rng: Rng, size: int) -> Floats:
    ripples = noise(rng, size, rng.uniform(10, 18), 3, 5) * 0.5 + noise(rng, size, 3, 2, 2) * 0.3
    return _mix(_colour(rng, (0.05, 0.42, 0.66)), _colour(rng, (0.45, 0.76, 0.88)), ripples * 0.5 + 0.4)


def sea(rng: Rng, size: int) -> Floats:
    under = _horizon(rng, size, 0.25, 0.55, 0.0)
    return _under(clouds(rng, size) if rng.random() < 0.5 else sky(rng, size), water(rng, size), under)


def grass(rng: Rng, size: int) -> Floats:
    field = noise(rng, size, rng.uniform(16, 34), 3, 0.6) * 0.6 + noise(rng, size, 3, 2) * 0.3
    return _mix(_colour(rng, (0.13, 0.42, 0.10)), _colour(rng, (0.50, 0.76, 0.26)), field * 0.4 + 0.5)


def _any_sky(rng: Rng, size: int) -> Floats:
    return (sky, clouds, clouds, sunset, night)[int(rng.choice(5, p=[0.35, 0.25, 0.15, 0.17, 0.08]))](rng, size)


def field(rng: Rng, size: int) -> Floats:
    above = _any_sky(rng, size)
    dim = np.float32(0.35 if above.mean() < 0.25 else 1.0)
    return _under(above, grass(rng, size) * dim, _horizon(rng, size, 0.3, 0.7, 0.03))


def sand(rng: Rng, size: int) -> Floats:
    grain = noise(rng, size, size, 1) * 0.35 + noise(rng, size, 5, 3, 2.5) * 0.35
    return _mix(_colour(rng, (0.80, 0.66, 0.43)), _colour(rng, (0.97, 0.89, 0.69)), grain * 0.4 + 0.5)


def desert(rng: Rng, size: int) -> Floats:
    above = sunset(rng, size) if rng.random() < 0.3 else sky(rng, size)
    return _under(above, sand(rng, size), _horizon(rng, size, 0.35, 0.65, 0.05))


def beach(rng: Rng, size: int) -> Floats:
    above = sunset(rng, size) if rng.random() < 0.35 else clouds(rng, size)
    both = _under(above, water(rng, size), _horizon(rng, size, 0.25, 0.42, 0.0))
    return _under(both, sand(rng, size), _horizon(rng, size, 0.55, 0.7, 0.02))


def snow(rng: Rng, size: int) -> Floats:
    hills = noise(rng, size, 3, 3) * 0.4 + noise(rng, size, size, 1) * 0.12
    ground = _mix(_colour(rng, (0.80, 0.87, 0.95), 0.02), _colour(rng, (0.98, 0.98, 1.0), 0.01), hills * 0.4 + 0.5)
    if rng.random() < 0.5:
        return ground
    return _under(_any_sky(rng, size), ground, _horizon(rng, size, 0.3, 0.65, 0.04))


def mountains(rng: Rng, size: int) -> Floats:
    scene = _any_sky(rng, size)
    dim = np.float32(0.35 if scene.mean() < 0.25 else 1.0)
    for depth in range(3):
        ridge = _horizon(rng, size, 0.25 + 0.17 * depth, 0.4 + 0.2 * depth, 0.11 - 0.025 * depth)
        rock = _colour(rng, ((0.62, 0.68, 0.78), (0.44, 0.52, 0.56), (0.28, 0.42, 0.32))[depth])
        scene = _under(scene, (rock + 0.03 * noise(rng, size, 8, 3)[..., None]) * dim, ridge)
    return scene


def forest(rng: Rng, size: int) -> Floats:
    x, _ = _grid(rng, size)
    leaves = _mix(
        _colour(rng, (0.08, 0.24, 0.10)), _colour(rng, (0.36, 0.58, 0.22)), noise(rng, size, 9, 4) * 0.4 + 0.45
    )
    trunks = _edge(0.12 - np.abs((x * rng.uniform(4, 7) + 0.03 * noise(rng, size, 2, 2)) % 1 - 0.5), size)
    scene = _under(leaves, np.ones_like(leaves) * _colour(rng, (0.27, 0.18, 0.11)), trunks * 0.85)
    return _under(scene, grass(rng, size) * np.float32(0.8), _horizon(rng, size, 0.65, 0.8, 0.02))


def _courses(
    rng: Rng, size: int, rows: float, ratio: float, joint: float, shift: float
) -> tuple[Floats, Floats, Floats]:
    """A wall of blocks: mask of the joints (1 in a joint), and each block's two integer coordinates."""
    x, y = _grid(rng, size, 0.06 if rng.random() < 0.3 else 0.0)
    v = y * rows
    row = np.floor(v)
    u = x * rows / ratio + shift * (row % 2)
    column = np.floor(u)
    across = np.minimum(v - row, 1 - (v - row)) / rows
    along = np.minimum(u - column, 1 - (u - column)) * ratio / rows
    return 1 - _edge(np.minimum(across, along) - joint / 2, size), row, column


def _per_block(rng: Rng, row: Floats, column: Floats) -> Floats:
    """A random value near N(0, 1) for each block of a wall."""
    table = rng.standard_normal((64, 64), dtype=np.float32)
    result: Floats = table[row.astype(np.int64) % 64, column.astype(np.int64) % 64]
    return result


def brick(rng: Rng, size: int) -> Floats:
    joints, row, column = _courses(rng, size, rng.uniform(6, 13), rng.uniform(2, 3), rng.uniform(0.010, 0.022), 0.5)
    base = ((0.66, 0.27, 0.20), (0.72, 0.42, 0.30), (0.55, 0.50, 0.47), (0.80, 0.74, 0.66))[int(rng.integers(4))]
    shade = 0.05 * _per_block(rng, row, column) + 0.03 * noise(rng, size, 20, 2)
    bricks = np.clip(_colour(rng, base) + shade[..., None] * vector(1.0, 0.7, 0.6), 0, 1).astype(np.float32)
    mortar = _colour(rng, (0.80, 0.76, 0.72) if rng.random() < 0.7 else (0.35, 0.32, 0.30)) * np.ones_like(bricks)
    return _under(bricks, mortar, joints)


def stone(rng: Rng, size: int) -> Floats:
    joints, row, column = _courses(rng, size, rng.uniform(4, 7), rng.uniform(1.2, 2), rng.uniform(0.012, 0.025), 0.5)
    shade = 0.07 * _per_block(rng, row, column) + 0.05 * noise(rng, size, 10, 3)
    blocks = np.clip(_colour(rng, (0.56, 0.55, 0.53)) + shade[..., None], 0, 1).astype(np.float32)
    return _under(blocks, np.ones_like(blocks) * _colour(rng, (0.33, 0.32, 0.30)), joints)


def tiles(rng: Rng, size: int) -> Floats:
    joints, row, column = _courses(rng, size, rng.uniform(4, 9), 1.0, rng.uniform(0.008, 0.02), 0.0)
    base = rng.uniform(0.45, 0.95, 3)
    shade = rng.choice([0.0, 0.04]) * _per_block(rng, row, column) + 0.01 * noise(rng, size, 4, 2)
    blocks = np.clip(_colour(rng, (base[0], base[1], base[2])) + shade[..., None], 0, 1).astype(np.float32)
    return _under(blocks, np.ones_like(blocks) * _colour(rng, (0.88, 0.88, 0.86)), joints)


def wood(rng: Rng, size: int) -> Floats:
    joints, row, column = _courses(rng, size, rng.uniform(4, 8), rng.uniform(3, 9), rng.uniform(0.006, 0.014), 0.5)
    grain = noise(rng, size, rng.uniform(24, 40), 2, 12) * 0.05 + 0.045 * _per_block(rng, row, column)
    base = ((0.62, 0.43, 0.26), (0.45, 0.29, 0.17), (0.80, 0.66, 0.47), (0.56, 0.30, 0.20))[int(rng.integers(4))]
    planks = np.clip(_colour(rng, base) + grain[..., None], 0, 1).astype(np.float32)
    result = _under(planks, planks * np.float32(0.42), joints)
    return np.ascontiguousarray(result.transpose(1, 0, 2)) if rng.random() < 0.35 else result


def checker(rng: Rng, size: int) -> Floats:
    x, y = _grid(rng, size, 0.8 if rng.random() < 0.3 else 0.0)
    count = rng.uniform(4, 10)
    wave = np.minimum(np.abs((x * count) % 1 - 0.5), 0.5) - 0.25
    wave_y = np.abs((y * count) % 1 - 0.5) - 0.25
    sign = _edge(wave / count, size) * 2 - 1
    sign_y = _edge(wave_y / count, size) * 2 - 1
    dark, light = (0.1, 0.95) if rng.random() < 0.4 else (rng.uniform(0.1, 0.5), rng.uniform(0.6, 0.95))
    a, b = _colour(rng, (dark,) * 3, 0.12), _colour(rng, (light,) * 3, 0.08)
    return _mix(a, b, (sign * sign_y + 1) / 2)


def stripes(rng: Rng, size: int) -> Floats:
    x, y = _grid(rng, size)
    angle = rng.choice([0.0, np.pi / 2, np.pi / 4, -np.pi / 4]) if rng.random() < 0.7 else rng.uniform(0, np.pi)
    count = rng.uniform(4, 11)
    along = (x * np.float32(np.cos(angle)) + y * np.float32(np.sin(angle))) * count
    duty = np.float32(rng.uniform(0.15, 0.3))
    t = _edge((duty - np.abs(along % 1 - 0.5)) / count, size)
    a, b = rng.uniform(0.05, 0.95, (2, 3))
    return _mix(a.astype(np.float32), b.astype(np.float32), t)


def dots(rng: Rng, size: int) -> Floats:
    x, y = _grid(rng, size)
    count = rng.uniform(4, 9)
    v = y * count
    u = x * count + 0.5 * (np.floor(v) % 2) * float(rng.integers(2))
    radius = np.hypot(u % 1 - 0.5, v % 1 - 0.5)
    a, b = rng.uniform(0.1, 0.98, (2, 3))
    return _mix(
        a.astype(np.float32), b.astype(np.float32), _edge((np.float32(rng.uniform(0.15, 0.3)) - radius) / count, size)
    )


def windows(rng: Rng, size: int) -> Floats:
    x, y = _grid(rng, size)
    rows, columns = rng.uniform(3, 6), rng.uniform(3, 6)
    fx, fy = np.abs((x * columns) % 1 - 0.5), np.abs((y * rows) % 1 - 0.5)
    inside = _edge(np.minimum((0.28 - fx) / columns, (0.32 - fy) / rows), size)
    pane = inside * (1 - _edge(0.008 - np.minimum(fx / columns, fy / rows), size))
    wall = np.clip(_colour(rng, (0.75, 0.68, 0.58), 0.1) + 0.015 * noise(rng, size, 30, 2)[..., None], 0, 1)
    glass = _mix(_colour(rng, (0.35, 0.5, 0.65)), _colour(rng, (0.7, 0.82, 0.92)), (y * rows) % 1)
    frame = _under(wall.astype(np.float32), np.ones_like(glass) * _colour(rng, (0.93, 0.92, 0.9), 0.02), inside)
    return _under(frame, glass, pane)


def road(rng: Rng, size: int) -> Floats:
    axis = (np.arange(size, dtype=np.float32) + 0.5) / size
    y, x = np.meshgrid(axis, axis, indexing="ij")
    line = np.float32(rng.uniform(0.3, 0.45))
    depth = np.clip((y - line) / (1 - line), 0.001, 1)
    across = np.abs(x - 0.5 + np.float32(rng.uniform(-0.15, 0.15)) * (1 - depth)) / depth
    asphalt = _colour(rng, (0.32, 0.32, 0.34), 0.03) + 0.03 * noise(rng, size, size, 1)[..., None]
    scene = _under(grass(rng, size), asphalt.astype(np.float32), _edge((0.62 - across) * depth, size))
    dashes = _edge((0.025 - across) * depth, size) * (np.sin(7 / depth) > 0)
    scene = _under(scene, np.ones_like(scene) * np.float32(0.92), dashes.astype(np.float32))
    return _under(_any_sky(rng, size), scene, _edge(y - line, size))


def gravel(rng: Rng, size: int) -> Floats:
    field_ = noise(rng, size, rng.uniform(18, 32), 2) * 0.6
    return _mix(_colour(rng, (0.36, 0.34, 0.32)), _colour(rng, (0.72, 0.70, 0.66)), field_ * 0.45 + 0.5)


def paper(rng: Rng, size: int) -> Floats:
    base = rng.uniform(0.72, 0.97)
    grain = 0.02 * noise(rng, size, size, 1) + 0.015 * noise(rng, size, 6, 3)
    return np.clip(_colour(rng, (base, base * 0.99, base * 0.95), 0.03) + grain[..., None], 0, 1).astype(np.float32)


def plain(rng: Rng, size: int) -> Floats:
    a = rng.uniform(0.05, 0.98, 3).astype(np.float32) if rng.random() < 0.7 else np.full(3, 0.96, np.float32)
    return _vertical(a, np.clip(a + rng.normal(0, 0.07, 3), 0, 1).astype(np.float32), size)


def studio(rng: Rng, size: int) -> Floats:
    wall = _colour(rng, (0.82, 0.82, 0.86), 0.12)
    floor = np.clip(wall * np.float32(rng.uniform(0.78, 1.1)), 0, 1)
    line = _horizon(rng, size, 0.55, 0.75, 0.0)
    return _under(_vertical(wall * np.float32(0.9), wall, size), _vertical(floor, floor * np.float32(0.93), size), line)


BACKGROUNDS: Mapping[str, tuple[Callable[[Rng, int], Floats], Stance, float]] = {
    "sky": (sky, "air", 0.8), "clouds": (clouds, "air", 1.0), "sunset": (sunset, "air", 0.8),
    "night": (night, "air", 0.7), "space": (space, "air", 0.4), "water": (water, "air", 0.7),
    "sea": (sea, "air", 1.2), "grass": (grass, "ground", 1.3), "field": (field, "ground", 1.6),
    "sand": (sand, "ground", 0.9), "desert": (desert, "ground", 1.0), "beach": (beach, "ground", 1.3),
    "snow": (snow, "ground", 1.0), "mountains": (mountains, "ground", 1.2), "forest": (forest, "ground", 0.8),
    "brick": (brick, "flat", 2.6), "stone": (stone, "flat", 1.2), "tiles": (tiles, "flat", 1.6),
    "wood": (wood, "flat", 2.4), "checker": (checker, "flat", 1.8), "stripes": (stripes, "flat", 1.6),
    "dots": (dots, "flat", 0.8), "windows": (windows, "flat", 1.2), "road": (road, "ground", 0.8),
    "gravel": (gravel, "ground", 0.7), "paper": (paper, "flat", 0.9), "plain": (plain, "flat", 0.8),
    "studio": (studio, "ground", 1.2),
}  # fmt: skip
"""By name: how it is drawn, how things meet it, and how often training shows it."""

STRUCTURED = frozenset({"brick", "stone", "tiles", "wood", "checker", "stripes", "dots", "windows", "road", "sea"})
"""Backgrounds whose lines must continue through a hole: shown more often, and weighted in the loss."""


def draw(name: str, rng: Rng, size: int) -> Floats:
    """One background, (size, size, 3) in [0, 1]; lines and blobs scale with `size`, so it looks alike at any."""
    return np.clip(BACKGROUNDS[name][0](rng, size), 0, 1).astype(np.float32)
