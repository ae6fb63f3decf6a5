"""A plan's masks at a smaller size, for what looks at a large region as a whole: its layout, its previews (E1, E5)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nanobana.protocol.geometry import Box
from nanobana.raster.pixels import Gray
from nanobana_engine.planner import soft
from nanobana_engine.planner.plan import Plan, lay
from nanobana_engine.planner.resample import reduced

Plane = npt.NDArray[np.float32]

SEEN = 0.02
"""Share of a reduced pixel from which the mask counts as touching it."""


@dataclass(frozen=True, slots=True)
class Overview:
    """The whole context at a smaller size, [h, w] each."""

    masked: Plane
    """Share of each pixel that the user's mask covers."""
    away: Plane
    """Distance to the mask in pixels of the context."""
    pixel: float
    """Side of a reduced pixel, in those."""

    def denoise(self, plan: Plan) -> Plane:
        """D, 1 wherever the mask touches a pixel."""
        return soft.denoise_mask(self.away, plan.reach)

    def composite(self, plan: Plan) -> Gray:
        """C."""
        mask = np.rint(self.masked * 255.0).astype(np.uint8)
        return soft.composite_mask(self.away, mask, plan.reach, exact_edge=plan.exact_edge)

    def hole(self, plan: Plan) -> npt.NDArray[np.bool_]:
        """Pixels of which any part has D > 0."""
        return np.asarray(self.away <= plan.reach.farthest + self.pixel)


def overview(plan: Plan, target: tuple[int, int]) -> Overview:
    """The masks of a plan's context at a size (width, height)."""

    def read(box: Box) -> Gray:
        piece = np.zeros((box.height, box.width), np.uint8)
        lay(piece, box, plan.mask, plan.mask_inside)
        return np.where(piece > 0, np.uint8(255), np.uint8(0))

    masked = reduced(read, plan.size, target).astype(np.float32) / np.float32(255.0)
    pixel = max(plan.size) / max(target)
    touched = masked > SEEN
    if not touched.any():  # thinner than a reduced pixel shows
        touched = masked >= masked.max()
    away = soft.distance(touched.astype(np.uint8)) * np.float32(pixel)
    return Overview(masked, away, pixel)
