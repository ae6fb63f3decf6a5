"""The blocks of diffusers' `AutoencoderKL`, run over boxes of their planes with what a pass over the whole found.

Statistics and attention are replayed, so that a part is told what the rest of the picture looks like without computing
it. At its edges a convolution sees the edge's own pixels repeated: what lies within as many pixels as there are
convolutions is not exact, hence a halo that is cut off.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from nanobana_engine.models.vae.boxes import Bools, Boxes, Taken, framed, grown_into, picked, shrunk_into
from nanobana_engine.models.vae.walk import GRID, SAMPLED, At, Passed, Walk

MOST_DRIFT = 0.25
"""Of the variances that a layer normalises with, on average, that a part may change by what is new in it."""
AT_A_TIME = 8 << 20
"""Bytes of boxes with their frames that a convolution is given: about what stays in a processor's cache."""


class Unlike(Exception):
    """A part is too unlike what stood there when the statistics were taken: they would be others with it."""


class Beside(Walk):
    """A pass over some boxes of each level, as rows [pixels, C].

    Args:
        passed: over the whole.
        own: [h, w]: the cells whose keys and values are taken from this pass: not those of its halo, which near its
            edges are not exact.
        check: called between blocks; may raise, to give up.
    """

    def __init__(self, passed: Passed, own: Bools, check: Callable[[], None] = lambda: None) -> None:
        super().__init__(check)
        self._replayed = passed
        self._own = own
        self._coarsest: Boxes | None = None
        self._drift = 0.0
        """By how much the part would change the variances of a layer, on average; of the worst layer."""
        self._frames: dict[Boxes, list[Taken]] = {}
        self._seen: dict[Boxes, tuple[Tensor, Tensor]] = {}

    def passed(self, entered: Tensor | None = None) -> Passed:
        """The earlier pass with what is new in it."""
        return Passed(tuple(self._norms), tuple(self._attended), entered, self._replayed.drift + self._drift)

    def take(self, plane: Tensor, at: Boxes) -> Tensor:
        """Rows of the boxes out of a plane, [1, C, h, w]."""
        ys, xs = at.pixels
        return _rows(plane)[torch.from_numpy(ys * at.size[0] + xs).to(plane.device)]

    def enter(self, module: Any, plane: Tensor, at: At) -> Tensor:
        assert at is not None
        return _convolved(module, _rows(plane), picked(at))

    def conv(self, module: Any, x: Tensor, at: At) -> Tensor:
        assert at is not None
        if at not in self._frames:
            self._frames[at] = framed(at)
        return _convolved(module, x, self._frames[at])

    def point(self, module: Any, x: Tensor) -> Tensor:
        return F.linear(x, module.weight.flatten(1), module.bias)

    def grow(self, module: Any, x: Tensor, at: At, coarser: At) -> Tensor:
        assert at is not None
        assert coarser is not None
        return _convolved(module.conv, x, grown_into(at, coarser))

    def shrink(self, module: Any, x: Tensor, at: At, finer: At) -> Tensor:
        assert at is not None
        assert finer is not None
        return _convolved(module.conv, x, shrunk_into(at, finer), stride=2)

    def norm(self, module: Any, x: Tensor, at: At) -> Tensor:
        """By the statistics of the whole.

        Raises:
            Unlike: on a flat picture, say, everything that is not flat would be blown up.
        """
        assert at is not None
        mean, steepness, before = (each.to(x.device) for each in self._replayed.norms[len(self._norms)])
        self._norms.append((mean, steepness, before))
        self._compare(x, at, mean, steepness, before)
        each = module.num_channels // module.num_groups
        scale = steepness.repeat_interleave(each) * module.weight.float()
        shift = module.bias.float() - mean.repeat_interleave(each) * scale
        return torch.addcmul(shift.to(x), x, scale.to(x))

    def _compare(self, x: Tensor, at: Boxes, mean: Tensor, steepness: Tensor, before: Tensor) -> None:
        """How varied the part is beside what stood there; raises Unlike."""
        if at not in self._seen:
            self._seen[at] = _looked_at(at, x)
        some, weights = self._seen[at]
        each = x.shape[1] // len(mean)
        apart = (x[some].float() - mean.repeat_interleave(each)) * steepness.repeat_interleave(each)
        varied = apart.square().mean(dim=0).unflatten(0, (-1, each)).mean(dim=1)
        changed = varied - (before * weights).sum(dim=(1, 2))
        self._drift = max(self._drift, at.share * float(changed.abs().mean()))
        if self._replayed.drift + self._drift > MOST_DRIFT:
            raise Unlike

    def middle(self, block: Any, x: Tensor, at: At) -> Tensor:
        self._coarsest = at
        return super().middle(block, x, at)

    def tokens(self, x: Tensor) -> Tensor:
        return x[None]

    def laid(self, tokens: Tensor, like: Tensor) -> Tensor:  # noqa: ARG002 - that of planes
        return tokens[0]

    def known(self, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """The whole picture's, with the newest where the part is itself."""
        assert self._coarsest is not None
        cells = torch.from_numpy(np.flatnonzero(self._own)).to(keys.device)
        rows = torch.from_numpy(self._coarsest.places[self._own]).to(keys.device)
        kept, told = self._replayed.attended[len(self._attended)]
        return (
            kept.to(keys).index_copy(2, cells, keys[:, :, rows]),
            told.to(values).index_copy(2, cells, values[:, :, rows]),
        )


def _convolved(module: Any, rows: Tensor, taken: Sequence[Taken], stride: int = 1) -> Tensor:
    """3 × 3 over boxes with their frames, of one size some at a time."""
    made: list[Tensor] = []
    for stack in taken:
        height, width = stack.rows.shape[1:]
        count = max(1, AT_A_TIME // (height * width * rows.shape[1] * rows.element_size()))
        for first in range(0, len(stack.rows), count):
            now, nothing = (each[first : first + count].reshape(-1) for each in (stack.rows, stack.nothing))
            around = rows.index_select(0, torch.from_numpy(now).to(rows.device))
            if nothing.any():
                around.masked_fill_(torch.from_numpy(nothing).to(rows.device)[:, None], 0.0)
            around = around.unflatten(0, (-1, height, width)).permute(0, 3, 1, 2)
            out = F.conv2d(around, module.weight, module.bias, stride=stride)
            made.append(out.permute(0, 2, 3, 1).flatten(0, 2))
    return torch.cat(made)


def _rows(plane: Tensor) -> Tensor:
    """[1, C, h, w] → [h · w, C]"""
    return plane[0].permute(1, 2, 0).flatten(0, 1)


def _looked_at(at: Boxes, x: Tensor) -> tuple[Tensor, Tensor]:
    """Rows by which a part is judged, and how much of it lies in each block of the recorded grid, [GRID, GRID]."""
    step = max(1, len(x) // SAMPLED**2) | 1  # odd: not always the same column of a box
    inside = F.adaptive_avg_pool2d(torch.from_numpy(at.covered)[None].float(), GRID)[0]
    return torch.arange(0, len(x), step, device=x.device), (inside / inside.sum()).to(x.device)
