"""Backgrounds by name, drawn at any size: skies, grounds, walls and patterns, and how things meet them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

import numpy as np

from nanobana_engine.models.nano.arrays import Floats
from nanobana_engine.models.nano.drawing import Rng
from nanobana_engine.models.nano.landscapes import (
    beach,
    clouds,
    desert,
    field,
    forest,
    grass,
    gravel,
    mountains,
    night,
    road,
    sand,
    sea,
    sky,
    snow,
    space,
    sunset,
    water,
)
from nanobana_engine.models.nano.patterns import (
    brick,
    checker,
    dots,
    paper,
    plain,
    stone,
    stripes,
    studio,
    tiles,
    windows,
    wood,
)

Stance = Literal["ground", "flat", "air"]
"""How a thing meets the background: it stands on the ground, lies before something flat, or floats."""

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


WITH_HORIZON: Mapping[str, Callable[[Rng, int, float | None], Floats]] = {
    "sea": sea, "field": field, "desert": desert, "beach": beach, "snow": snow, "mountains": mountains, "road": road,
}  # fmt: skip
"""Those that can be drawn under a given horizon."""
UNDER_OPEN_SKY = frozenset(WITH_HORIZON) - {"mountains"}
"""Those of which nothing rises above it."""


def draw(name: str, rng: Rng, size: int, horizon: float | None = None) -> Floats:
    """One background, (size, size, 3) in [0, 1]; lines and blobs scale with `size`, so it looks alike at any.

    Args:
        horizon: its height as a share of the frame's, 0 the top, for the backgrounds that have one; may lie outside.
    """
    if horizon is not None and name in WITH_HORIZON:
        drawn = WITH_HORIZON[name](rng, size, horizon)
    else:
        drawn = BACKGROUNDS[name][0](rng, size)
    return np.clip(drawn, 0, 1).astype(np.float32)
