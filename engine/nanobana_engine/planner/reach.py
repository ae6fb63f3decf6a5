"""How far an edit may reach beyond its mask: E1's feather, grow and blend."""

from __future__ import annotations

import math
from dataclasses import dataclass

from nanobana.protocol.geometry import Box

FULL_CANVAS = 512
"""Canvases with a shorter side than this scale E1's constants down with it."""


@dataclass(frozen=True, slots=True)
class Reach:
    """Distances from the user's mask, in canvas pixels (E1)."""

    feather: float
    grow: float
    blend: float

    @property
    def farthest(self) -> float:
        """No pixel farther than this from the mask may change (E5)."""
        return self.grow + self.feather

    @property
    def pixels(self) -> int:
        """`farthest`, rounded up: the margin by which boxes grow."""
        return math.ceil(self.farthest)


def reach_of(
    mask_box: Box,
    canvas: tuple[int, int],
    *,
    strength: float = 1.0,
    scale: float = 1.0,
    feather: float | None = None,
    grow: float | None = None,
) -> Reach:
    """E1's distances for a mask.

    Args:
        mask_box: the tight box around the cleaned mask.
        canvas: its width and height; a small one scales the distances down.
        strength: s in E1, 0..1.
        scale: the preset's `grow_scale`; small models reach less far.
        feather, grow: as a person wants them, in canvas pixels; then the result blends over the whole of that feather.
    """
    small = scale * min(1.0, min(canvas) / FULL_CANVAS)
    diagonal = math.hypot(mask_box.width, mask_box.height)
    usual = max(0.10 * diagonal * strength, 32.0 * strength) * small
    wide = usual if feather is None else feather
    far = 4.0 * small + wide / 2.0 if grow is None else grow
    blend = min(25.0 * small, far + wide / 2.0) if feather is None else feather
    return Reach(feather=wide, grow=far, blend=blend)
