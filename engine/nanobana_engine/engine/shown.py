"""What a stage sees of an edit's context, whole where that is small, tile by tile where it is not (E3, E4)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from nanobana.protocol.geometry import Box
from nanobana_engine.engine.source import Pixels, Source
from nanobana_engine.planner.detail import LOOK, Detail, borrow
from nanobana_engine.planner.overview import SEEN, overview
from nanobana_engine.planner.prefill import prefill
from nanobana_engine.planner.resample import fit, is_padding, reading, resize, to_floats, window
from nanobana_engine.planner.stages import Stage

Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Shown:
    """A context, or one tile of it, at a stage's size."""

    pixels: Pixels
    mask: npt.NDArray[np.float32]
    """D, 1 on the user's mask."""
    user_mask: npt.NDArray[np.float32]

    def cut(self, box: Box) -> Shown:
        """A part, in its own pixels."""
        part = (slice(box.y0, box.y1), slice(box.x0, box.x1))
        return Shown(self.pixels[part], self.mask[part], self.user_mask[part])


@dataclass(slots=True)
class Sight:
    """The context of one edit through the eyes of one stage."""

    source: Source
    stage: Stage
    earlier: Sequence[Bytes] = ()
    """Per variation the sheet of the stage before, [h, w, 3]; empty for the first stage."""
    details: Sequence[Detail | None] = ()
    """Per variation, what the canvas lends to an enlarged sheet, at canvas scale; empty for nothing."""
    check: Callable[[], None] = lambda: None
    """Called between pieces of longer work; may raise, to give up (E8)."""
    _whole: Shown | None = field(default=None, init=False)
    _prefilled: Pixels | None = field(default=None, init=False)

    @property
    def target(self) -> tuple[int, int]:
        return self.stage.width, self.stage.height

    @property
    def is_full_scale(self) -> bool:
        """Whether a pixel of the stage is a pixel of the canvas."""
        return is_padding(self.source.plan.size, self.target)

    def show(self, tile: Box) -> Shown:
        """A tile, in the stage's pixels."""
        if self.source.plan.is_large and self.earlier:
            return self._tile(tile)
        if self._whole is None:
            self._whole = self._layout() if self.source.plan.is_large else self._all()
        return self._whole.cut(tile)

    def prefilled(self, tile: Box, shown: Shown) -> Pixels:
        """A tile with its hole filled from around it (E4); that of a large region's later stages as it stands."""
        if self.source.plan.is_large and self.earlier:
            return shown.pixels
        if self._prefilled is None:
            self._prefilled = self._filled()
        return self._prefilled[tile.y0 : tile.y1, tile.x0 : tile.x1]

    def before(self, variation: int, tile: Box, shown: Shown) -> Pixels:
        """What stands in a tile before this stage: the canvas, or the sheet of the stage before under the mask."""
        if not self.earlier:
            return shown.pixels
        share = np.minimum(1.0, 2.0 * shown.mask)[..., None]
        mixed: Pixels = (shown.pixels + share * (self.grown(variation, tile) - shown.pixels)).astype(np.float32)
        return mixed

    def grown(self, variation: int, tile: Box) -> Pixels:
        """A tile of the earlier sheet at this stage's size, with the detail that the canvas lends it."""
        sheet, size = self.earlier[variation], self.source.plan.size
        read = reading(sheet)
        there = (sheet.shape[1], sheet.shape[0])
        if not self.is_full_scale:
            return to_floats(window(read, there, self.target, tile))

        def at_canvas_scale(box: Box) -> Pixels:
            large = to_floats(window(read, there, size, box))
            lent = self.lent(variation, box)
            return large if lent is None else np.asarray(np.clip(large + lent, 0.0, 1.0), np.float32)

        return window(at_canvas_scale, size, self.target, tile)

    def lent(self, variation: int, box: Box) -> Pixels | None:
        """The canvas's detail for a part of the fill, in the context's pixels, [h, w, 3] around 0."""
        detail = self.details[variation] if self.details else None
        return None if detail is None else detail.over(box)

    def in_context(self, tile: Box) -> Box:
        """The context's pixels under a tile of the stage."""
        plan = self.source.plan
        across, down = (
            (1.0, 1.0)
            if self.is_full_scale
            else (
                plan.size[0] / self.stage.width,
                plan.size[1] / self.stage.height,
            )
        )
        return Box(
            math.floor(tile.x0 * across),
            math.floor(tile.y0 * down),
            math.ceil(tile.x1 * across),
            math.ceil(tile.y1 * down),
        ).intersect(plan.inside)

    def _all(self) -> Shown:
        """A context that is not large, resampled from all of its pixels."""
        plan, target = self.source.plan, self.target
        planes = plan.whole()
        user_mask = fit((planes.user_mask > 0).astype(np.float32), target)
        mask = np.maximum(fit(planes.denoise, target), (user_mask > SEEN).astype(np.float32))
        return Shown(fit(self.source.pixels(), target), mask, user_mask)

    def _layout(self) -> Shown:
        """A large context at its layout's size: masks and prefill are made there."""
        source, plan, target = self.source, self.source.plan, self.target
        pixels = to_floats(source.laid_out(target, self.check))
        small = overview(plan, target)
        return Shown(pixels, small.denoise(plan), small.masked)

    def _filled(self) -> Pixels:
        source, plan, target = self.source, self.source.plan, self.target
        if not plan.is_large:
            # at canvas scale: resampling first would mix the old content into the hole's border
            return fit(prefill(source.pixels(), plan.whole().user_mask > 0), target)
        small = overview(plan, target)
        # a reduced pixel beside the hole has some of its old content: two of them count as hole
        return prefill(to_floats(source.laid_out(target, self.check)), small.away <= 2.0 * small.pixel)

    def _tile(self, tile: Box) -> Shown:
        """A tile of a large context, from the pixels near it."""
        plan, target = self.source.plan, self.target
        pixels = window(self.source.window, plan.size, target, tile)
        planes = window(self._planes, plan.size, target, tile)
        mask, user_mask = planes[..., 0], planes[..., 1]
        if not self.is_full_scale:
            mask = np.maximum(mask, (user_mask > SEEN).astype(np.float32))
        return Shown(pixels, mask, user_mask)

    def _planes(self, box: Box) -> npt.NDArray[np.float32]:
        """D and the user's mask, [h, w, 2]."""
        planes = self.source.plan.window(box)
        return np.stack([planes.denoise, (planes.user_mask > 0).astype(np.float32)], axis=-1)


def lent(source: Source, sheets: Sequence[Bytes], check: Callable[[], None] = lambda: None) -> list[Detail | None]:
    """Per variation, the detail that the canvas lends to a sheet, beyond the scale at which that was made."""
    plan, (height, width) = source.plan, sheets[0].shape[:2]
    shrink = min(1.0, math.sqrt(LOOK / (height * width)))
    look = max(1, round(width * shrink)), max(1, round(height * shrink))
    hole = overview(plan, look).hole(plan)
    scale = width / plan.size[0]
    return [borrow(source.bytes_of, plan.size, resize(sheet, look), hole, scale, check) for sheet in sheets]
