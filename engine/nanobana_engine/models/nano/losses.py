"""What training minimises, and the figures by which it is judged."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def grain(colours: Tensor, hole: Tensor) -> tuple[Tensor, Tensor]:
    """Local energy of fine detail: (B, 3, h, w) root mean square of what a 5-pixel blur removes, and where it counts.

    Read in cells of 8 pixels that lie in the hole (B, 1, H, W) for at least three quarters.
    """
    blurred = F.avg_pool2d(F.pad(colours, (2, 2, 2, 2), mode="replicate"), 5, 1)
    energy = F.avg_pool2d((colours - blurred) ** 2, 8)
    return torch.sqrt(energy + 1e-5), (F.avg_pool2d(hole, 8) > 0.75).to(colours.dtype)


def loss(drawn: Tensor, truth: Tensor, hole: Tensor, weight: Tensor) -> Tensor:
    """Mean over items (B,) of a robust error in the hole plus the difference of grain; all colours in [0, 1].

    The grain term keeps grass and gravel from fading into their mean, which the error alone would prefer; the edge
    term sees the seams of copies that do not meet, in the hole and along its border.
    """
    area = hole.sum((1, 2, 3)).clamp_min(16)
    error = torch.sqrt((drawn - truth) ** 2 + 1e-4) - 0.01
    robust = (error * hole).sum((1, 2, 3)) / (3 * area)
    mine, cells = grain(drawn, hole)
    theirs, _ = grain(truth, hole)
    rough = ((mine - theirs).abs() * cells).sum((1, 2, 3)) / (3 * cells.sum((1, 2, 3)).clamp_min(1))
    seams = sum(_edge_error(drawn * hole + truth * (1 - hole), truth, hole, scale) for scale in (1, 2, 4))
    return ((robust + 0.7 * rough + 0.5 * seams) * weight).mean() / weight.mean()


def _edge_error(drawn: Tensor, truth: Tensor, hole: Tensor, scale: int) -> Tensor:
    """(B,) mean difference of neighbouring pixels' steps at a coarser scale, over steps that touch the hole."""
    difference, inside = drawn - truth, hole
    if scale > 1:
        difference, inside = F.avg_pool2d(difference, scale), F.max_pool2d(hole, scale)
    total = torch.zeros(len(hole), device=hole.device)
    count = torch.full_like(total, 8)
    for axis in (2, 3):
        length = difference.shape[axis]
        step = difference.narrow(axis, 1, length - 1) - difference.narrow(axis, 0, length - 1)
        touched = torch.maximum(inside.narrow(axis, 1, length - 1), inside.narrow(axis, 0, length - 1))
        total = total + (torch.sqrt(step**2 + 1e-5) * touched).sum((1, 2, 3)) / 3
        count = count + touched.sum((1, 2, 3))
    return total / count


def hole_error(drawn: Tensor, truth: Tensor, hole: Tensor) -> Tensor:
    """(B,) mean squared error inside the hole, in [0, 1] colours."""
    return ((drawn - truth) ** 2 * hole).sum((1, 2, 3)) / (3 * hole.sum((1, 2, 3)).clamp_min(1))


def grain_ratio(drawn: Tensor, truth: Tensor, hole: Tensor) -> Tensor:
    """(B,) energy of fine detail inside the hole over the truth's; 1 is right, 0 a blur."""
    mine, cells = grain(drawn, hole)
    theirs, _ = grain(truth, hole)
    return ((mine**2) * cells).sum((1, 2, 3)) / ((theirs**2) * cells).sum((1, 2, 3)).clamp_min(1e-6)
