"""What an edit is made from: the plan, the picture of its context, and what was asked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from nanobana.protocol.geometry import Box
from nanobana.protocol.parameters import EditParams
from nanobana.raster.compose import colour_of
from nanobana.raster.pixels import Rgba
from nanobana_engine.engine.view import View
from nanobana_engine.models.preset import Worn
from nanobana_engine.planner import Plan
from nanobana_engine.planner.prefill import prefill
from nanobana_engine.planner.resample import reading, reduced, to_bytes, to_floats, window

Pixels = npt.NDArray[np.float32]
Bytes = npt.NDArray[np.uint8]

BEHIND = 512
"""Longest side at which the surroundings are carried behind the see-through parts of a large context."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One edit, complete: it needs nothing more from the store."""

    id: str
    canvas: str
    user: str
    edit: EditParams
    plan: Plan
    view: View
    """The visible picture of `plan.context`."""
    loras: tuple[Worn, ...] = ()
    references: tuple[Rgba, ...] = ()
    model: str = ""
    """Name of the model that it was planned for; empty for the engine's first."""
    alone: bool = False
    """Run it without company: an engine has died with it before (E8)."""
    _behind: list[Pixels] = field(default_factory=list, init=False, repr=False, compare=False)
    _laid_out: dict[tuple[int, int], Bytes] = field(default_factory=dict, init=False, repr=False, compare=False)
    """Both made when they are first needed."""

    def seed(self, variation: int) -> int:
        """The seed of a variation; asking for one variation with it gives the same pixels again (E11)."""
        return ((self.edit.seed or 0) + variation) % 2**32

    @property
    def picture(self) -> Rgba:
        """All of the context, [h, w, 4]: for one that is not large."""
        return self.view.read(self.plan.inside)

    def pixels(self) -> Pixels:
        """All of the context in 0..1, [h, w, 3]: for one that is not large."""
        return self.window(self.plan.inside)

    def window(self, box: Box) -> Pixels:
        """A part of the context in 0..1, [h, w, 3]; what is see-through shows its surroundings, carried in smoothly."""
        part = self.view.read(box)
        colour = to_floats(colour_of(part))
        alpha = part[..., 3]
        if alpha.min(initial=255) == 255:
            return colour
        behind = self._carried(box, colour, alpha)
        share = to_floats(alpha)[..., None]
        return (colour * share + behind * (1.0 - share)).astype(np.float32)

    def bytes_of(self, box: Box) -> Bytes:
        """`window` in 0..255."""
        part = self.view.read(box)
        return colour_of(part) if part[..., 3].min(initial=255) == 255 else to_bytes(self.window(box))

    def laid_out(self, target: tuple[int, int], check: Callable[[], None] = lambda: None) -> Bytes:
        """All of a large context at a smaller size (width, height), [h, w, 3]; read once.

        Args:
            check: called between pieces of work; may raise, to give up.
        """

        def read(box: Box) -> Bytes:
            check()
            return self.bytes_of(box)

        if target not in self._laid_out:
            self._laid_out[target] = reduced(read, self.plan.size, target)
        return self._laid_out[target]

    def _carried(self, box: Box, colour: Pixels, alpha: Bytes) -> Pixels:
        """What lies behind a see-through part."""
        if box == self.plan.inside:
            return _filled(colour, alpha)
        if not self._behind:
            size = self.plan.size
            shrink = min(1.0, BEHIND / max(size))
            target = (max(1, round(size[0] * shrink)), max(1, round(size[1] * shrink)))
            small = reduced(self.view.read, size, target)
            self._behind.append(_filled(to_floats(colour_of(small)), small[..., 3]))
        behind = self._behind[0]
        return window(reading(behind), (behind.shape[1], behind.shape[0]), self.plan.size, box)


def _filled(colour: Pixels, alpha: Bytes) -> Pixels:
    return prefill(colour, alpha < 255) if alpha.any() else np.ones_like(colour)
