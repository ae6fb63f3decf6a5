"""From a model's picture to the patch that the canvas takes: full size, colour, composite mask (E5, E6)."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from nanobana.raster.compose import with_alpha
from nanobana.raster.pixels import Rgba
from nanobana_engine.engine.colour import match_colour
from nanobana_engine.engine.source import Source
from nanobana_engine.planner.resample import fit, to_bytes, unfit

Floats = npt.NDArray[np.float32]

INWARDS = 0.15
"""Part of the mask's diagonal over which colour differences at its edge fade inwards."""


def stitch(source: Source, generated: Floats) -> Rgba:
    """The patch of one variation.

    Args:
        generated: the whole context, [h, w, 3] in 0..1, at the size of the last stage.

    Returns:
        [h, w, 4] over `plan.result`: colour g and C as alpha. Laid over opaque pixels it gives round(o + C (g - o)).
        Where C = 0 all four bytes are 0: such pixels are never written.
    """
    plan = source.plan
    box = plan.changed_inside
    full = _at_full_size(source, generated)[box.y0 : box.y1, box.x0 : box.x1]
    planes = plan.window(box)
    ring = (planes.denoise > 0) & (planes.user_mask == 0)
    far = INWARDS * math.hypot(plan.mask_box.width, plan.mask_box.height)
    matched = match_colour(full, source.bytes_of(box), ring, far=far)
    inner = plan.result_inside.shift(-box.x0, -box.y0)
    return with_alpha(to_bytes(matched[inner.y0 : inner.y1, inner.x0 : inner.x1]), planes.cut(inner).composite)


def _at_full_size(source: Source, generated: Floats) -> Floats:
    """The generated picture at canvas scale; where it was made smaller, the ring gets the canvas's own detail back.

    Outside the user's mask both show the same thing, and the canvas knows it sharply: there the difference between
    the canvas and its own picture at the model's scale is added, fading to nothing at the mask.
    """
    plan, target = source.plan, (generated.shape[1], generated.shape[0])
    full = unfit(generated, plan.size)
    if full.shape == generated.shape or (target[0] >= plan.size[0] and target[1] >= plan.size[1]):
        return full
    original = source.pixels()
    detail = original - unfit(fit(original, target), plan.size)
    outside = np.clip(4.0 * (1.0 - plan.whole().denoise), 0.0, 1.0)[..., None]
    restored: Floats = np.clip(full + outside * detail, 0.0, 1.0).astype(np.float32)
    return restored
