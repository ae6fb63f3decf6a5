"""The plan of one edit: everything about where and how large, before a model is touched (E1–E5)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from nanobana.protocol.geometry import Box
from nanobana.protocol.parameters import EditParams
from nanobana.raster.pixels import Gray
from nanobana_engine.planner import mask as masks
from nanobana_engine.planner import soft
from nanobana_engine.planner.frame import close_box, context_box
from nanobana_engine.planner.reach import Reach, reach_of
from nanobana_engine.planner.stages import Stage, enlarged_stage, plan_stages

if TYPE_CHECKING:
    from nanobana_engine.models.base import Preset

Plane = npt.NDArray[np.float32]

WHOLE = 2048 * 2048
"""Pixels of a context that is handled as one picture; planes of a larger one are made window by window (E3)."""


@dataclass(frozen=True, slots=True)
class Planes:
    """What is where in one window of a context, each [h, w]."""

    user_mask: Gray
    """The cleaned mask: 0 or 8..255."""
    denoise: Plane
    """D."""
    composite: Gray
    """C in 1/255; 0 where D = 0."""

    def cut(self, box: Box) -> Planes:
        """A part, in the window's own pixels."""
        part = (slice(box.y0, box.y1), slice(box.x0, box.x1))
        return Planes(self.user_mask[part], self.denoise[part], self.composite[part])


@dataclass(frozen=True, slots=True)
class Plan:
    """Boxes are in canvas pixels."""

    canvas: tuple[int, int]
    """Its width and height."""
    context: Box
    """What the model sees."""
    result: Box
    """Box of the patch: the only pixels that may change; inside `context`."""
    mask_box: Box
    reach: Reach
    mask: Gray
    """The cleaned mask over `mask_box`: 0 or 8..255. All that is held of a large region at full size."""
    exact_edge: bool
    stages: tuple[Stage, ...]
    planes: Planes | None
    """Of the whole context; None for one that is too large to be held as one picture."""

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the context."""
        return self.context.width, self.context.height

    @property
    def canvas_ratio(self) -> float:
        """How many times as large as the context the canvas is."""
        return self.canvas[0] * self.canvas[1] / self.context.area

    @property
    def nbytes(self) -> int:
        """Of its mask and its planes."""
        planes = self.planes
        whole = planes.user_mask.nbytes + planes.denoise.nbytes + planes.composite.nbytes if planes else 0
        return self.mask.nbytes + whole

    @property
    def is_large(self) -> bool:
        """Whether the context is handled window by window."""
        return self.planes is None

    @property
    def inside(self) -> Box:
        """The context in its own pixels."""
        return Box(0, 0, *self.size)

    @property
    def mask_inside(self) -> Box:
        """The mask's box in the context's own pixels."""
        return self.mask_box.shift(-self.context.x0, -self.context.y0)

    @property
    def result_inside(self) -> Box:
        """The result's box in the context's own pixels."""
        return self.result.shift(-self.context.x0, -self.context.y0)

    @property
    def changed_inside(self) -> Box:
        """Where D > 0, at the most: the mask's box and its reach, in the context's own pixels."""
        return self.mask_inside.grow(self.reach.pixels).intersect(self.inside)

    def window(self, box: Box) -> Planes:
        """The planes of a part of the context, `box` in its own pixels; depends on the mask near it only."""
        if self.planes is not None:
            return self.planes.cut(box)
        return planes_of(self.mask, self.mask_inside, self.reach, box, exact_edge=self.exact_edge)

    def touches(self, box: Box) -> bool:
        """Whether anything may change in a part of the context, at the most."""
        near = box.grow(self.reach.pixels).intersect(self.mask_inside)
        if near.is_empty:
            return False
        at = near.shift(-self.mask_inside.x0, -self.mask_inside.y0)
        return bool(self.mask[at.y0 : at.y1, at.x0 : at.x1].any())

    def whole(self) -> Planes:
        """The planes of the whole context."""
        return self.window(self.inside)


def plan_edit(mask: Gray, edit: EditParams, canvas: tuple[int, int], preset: Preset, *, whole: int = WHOLE) -> Plan:
    """Plan a fill.

    Args:
        mask: [h, w] of `edit.box`, as it was sent.
        canvas: width and height.
        whole: pixels of a context that is held as one picture, at the most.

    Raises:
        BadInput: ``empty_mask``.
    """
    cleaned = masks.clean(mask, edit.box, canvas)
    reach = reach_of(
        cleaned.box,
        canvas,
        strength=edit.strength,
        scale=preset.grow_scale,
        feather=edit.feather,
        grow=edit.grow,
    )
    context, enlarged = context_box(cleaned.box, reach, canvas, preset), None
    if edit.detail and "detail" in preset.takes:
        close = close_box(cleaned.box, reach, canvas, preset)
        enlarged = enlarged_stage((close.width, close.height), preset, edit.quality, edit.strength)
        context = context if enlarged is None else close
    size = (context.width, context.height)
    inside = cleaned.box.shift(-context.x0, -context.y0)
    planes = None
    result = cleaned.box.grow(0 if edit.exact_edge else reach.pixels).intersect(context)
    if context.area <= whole:
        planes = planes_of(cleaned.values, inside, reach, Box(0, 0, *size), exact_edge=edit.exact_edge)
        result = changed_box(planes.composite, context)
    changed = inside.grow(reach.pixels).intersect(Box(0, 0, *size))
    return Plan(
        canvas=canvas,
        context=context,
        result=result,
        mask_box=cleaned.box,
        reach=reach,
        mask=cleaned.values,
        exact_edge=edit.exact_edge,
        stages=(enlarged,) if enlarged else tuple(plan_stages(size, changed, preset, edit.quality, edit.strength)),
        planes=planes,
    )


def planes_of(mask: Gray, mask_box: Box, reach: Reach, box: Box, *, exact_edge: bool) -> Planes:
    """Mask, D and C over a window.

    Args:
        mask: the cleaned mask over `mask_box`; window and mask box are in the same pixels.
    """
    shape = (box.height, box.width)
    user_mask = np.zeros(shape, np.uint8)
    lay(user_mask, box, mask, mask_box)
    if user_mask.all():
        return Planes(user_mask, np.ones(shape, np.float32), soft.on_mask(user_mask, exact_edge=exact_edge))
    denoise, composite = np.zeros(shape, np.float32), user_mask if exact_edge else np.zeros(shape, np.uint8)
    # only masked pixels within the reach of a pixel have a say, so the distances of a window need no more than these
    near = box.grow(reach.pixels + 1).intersect(mask_box.grow(reach.pixels + 1))
    part = box.intersect(near)
    around = np.zeros((max(0, near.height), max(0, near.width)), np.uint8)
    lay(around, near, mask, mask_box)
    if not part.is_empty and around.any():
        inside = part.shift(-near.x0, -near.y0)
        away = soft.distance(around, inside)
        lay(denoise, box, soft.denoise_mask(away, reach), part)
        if not exact_edge:
            masked = around[inside.y0 : inside.y1, inside.x0 : inside.x1]
            lay(composite, box, soft.composite_mask(away, masked, reach, exact_edge=False), part)
    return Planes(user_mask, denoise, composite)


def lay(target: npt.NDArray[np.generic], at: Box, piece: npt.NDArray[np.generic], piece_at: Box) -> None:
    """Write a piece into a target where the two overlap; both boxes are in the same pixels."""
    part = at.intersect(piece_at)
    if part.is_empty:
        return
    target[part.y0 - at.y0 : part.y1 - at.y0, part.x0 - at.x0 : part.x1 - at.x0] = piece[
        part.y0 - piece_at.y0 : part.y1 - piece_at.y0, part.x0 - piece_at.x0 : part.x1 - piece_at.x0
    ]


def changed_box(plane: npt.NDArray[np.uint8] | Plane, frame: Box) -> Box:
    """The tight box, in canvas pixels, around what is not 0 in a plane over `frame`; the plane is not empty."""
    rows, columns = np.flatnonzero(plane.any(axis=1)), np.flatnonzero(plane.any(axis=0))
    return Box(int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1).shift(frame.x0, frame.y0)
