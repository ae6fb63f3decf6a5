"""How an erase is framed: the planner's numbers for PatchMatch."""

from __future__ import annotations

from nanobana_engine.models.base import Preset

ERASE = Preset(
    name="erase",
    family="erase",
    licence="MIT",
    native=640,
    min_side=256,
    max_side=1 << 20,
    multiple=1,
    latent_stride=1,
    steps={"draft": 3, "balanced": 3, "best": 3},
    grow_scale=0.25,
)
"""At least 256 px of surroundings to copy from, and a quarter of E1's reach: the fill is made of the picture itself."""
