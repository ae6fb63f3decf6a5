"""The plan of one edit: everything about where and how large, before a model is touched (E1–E5)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from nanobana.protocol.errors import BadInput
from nanobana.protocol.geometry import Box
from nanobana.protocol.parameters import EditParams
from nanobana.raster.pixels import Gray
from nanobana_engine.planner import mask as masks
from nanobana_engine.planner import soft
from nanobana_engine.planner.frame import context_box
from nanobana_engine.planner.reach import Reach, reach_of
from nanobana_engine.planner.stages import Stage, plan_stages

if TYPE_CHECKING:
    from nanobana_engine.models.base import Preset

Plane = npt.NDArray[np.float32]

LARGEST = 12_000_000
"""Pixels of a context at the most: planes of it are held as floats several times."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Boxes are in canvas pixels; planes cover `context` unless said otherwise."""

    context: Box
    """What the model sees."""
    result: Box
    """Box of the patch: the only pixels that may change; inside `context`."""
    mask_box: Box
    reach: Reach
    user_mask: Gray
    """The cleaned mask: 0 or 8..255."""
    denoise: Plane
    """D."""
    composite: Gray
    """C in 1/255, over `result`; 0 where D = 0."""
    stages: tuple[Stage, ...]

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the context."""
        return self.context.width, self.context.height

    @property
    def nbytes(self) -> int:
        """Of its planes."""
        return self.user_mask.nbytes + self.denoise.nbytes + self.composite.nbytes

    @property
    def result_inside(self) -> Box:
        """The result's box in the context's own pixels."""
        return self.result.shift(-self.context.x0, -self.context.y0)


def plan_edit(mask: Gray, edit: EditParams, canvas: tuple[int, int], preset: Preset) -> Plan:
    """Plan a fill.

    Args:
        mask: [h, w] of `edit.box`, as it was sent.
        canvas: width and height.

    Raises:
        BadInput: ``empty_mask``, ``region_too_large``.
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
    context = context_box(cleaned.box, reach, canvas, preset)
    if context.area > LARGEST:
        raise BadInput(
            f"This region is too large to be edited in one go ({context.width} x {context.height} pixels with what "
            "surrounds it). Paint a smaller one.",
            code="region_too_large",
        )
    user_mask, away = _laid(cleaned, context, reach)
    denoise = soft.denoise_mask(away, reach)
    whole = soft.composite_mask(away, user_mask, reach, exact_edge=edit.exact_edge)
    result = changed_box(whole, context)
    composite = whole[result.y0 - context.y0 : result.y1 - context.y0, result.x0 - context.x0 : result.x1 - context.x0]
    changed = changed_box(denoise, context).shift(-context.x0, -context.y0)
    size = (context.width, context.height)
    stages = plan_stages(size, changed, preset, edit.quality, edit.strength)
    return Plan(
        context=context,
        result=result,
        mask_box=cleaned.box,
        reach=reach,
        user_mask=user_mask,
        denoise=denoise,
        composite=np.ascontiguousarray(composite),
        stages=tuple(stages),
    )


def changed_box(plane: npt.NDArray[np.uint8] | Plane, frame: Box) -> Box:
    """The tight box, in canvas pixels, around what is not 0 in a plane over `frame`; the plane is not empty."""
    rows, columns = np.flatnonzero(plane.any(axis=1)), np.flatnonzero(plane.any(axis=0))
    return Box(int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1).shift(frame.x0, frame.y0)


def _laid(cleaned: masks.CleanMask, context: Box, reach: Reach) -> tuple[Gray, Plane]:
    """The mask over the context and its distance field; the field is computed near the mask only."""
    user_mask = np.zeros((context.height, context.width), np.uint8)
    box = cleaned.box
    user_mask[box.y0 - context.y0 : box.y1 - context.y0, box.x0 - context.x0 : box.x1 - context.x0] = cleaned.values
    near = box.grow(reach.pixels + 1).intersect(context).shift(-context.x0, -context.y0)
    away = np.full(user_mask.shape, reach.farthest + 1, np.float32)
    part = (slice(near.y0, near.y1), slice(near.x0, near.x1))
    away[part] = soft.distance(user_mask[part])
    return user_mask, away
