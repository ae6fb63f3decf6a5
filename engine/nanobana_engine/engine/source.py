"""What an edit is made from: the plan, the picture of its context, and what was asked."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nanobana.protocol.parameters import EditParams
from nanobana.raster.pixels import Rgba
from nanobana_engine.models.preset import Worn
from nanobana_engine.planner import Plan
from nanobana_engine.planner.prefill import prefill

Pixels = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One edit, complete: it needs nothing more from the store."""

    id: str
    canvas: str
    user: str
    edit: EditParams
    plan: Plan
    picture: Rgba
    """The visible picture of `plan.context`."""
    loras: tuple[Worn, ...] = ()
    references: tuple[Rgba, ...] = ()
    alone: bool = False
    """Run it without company: an engine has died with it before (E8)."""

    def seed(self, variation: int) -> int:
        """The seed of a variation; asking for one variation with it gives the same pixels again (E11)."""
        return ((self.edit.seed or 0) + variation) % 2**32

    def pixels(self) -> Pixels:
        """The context in 0..1, [h, w, 3]; where the canvas is see-through, its surroundings carried in smoothly."""
        colour = self.picture[..., :3].astype(np.float32) / np.float32(255.0)
        alpha = self.picture[..., 3]
        if bool((alpha == 255).all()):
            return colour
        if not alpha.any():
            return np.ones_like(colour)
        behind = prefill(colour, alpha < 255)
        share = alpha[..., None].astype(np.float32) / np.float32(255.0)
        return (colour * share + behind * (1.0 - share)).astype(np.float32)
