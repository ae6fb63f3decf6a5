"""Which cells of a picture are active at each level of a UNet, and where a convolution finds each one's neighbours."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal, TypeAlias

import torch
from torch import Tensor

Kind: TypeAlias = Literal["same", "down", "up"]
"""A 3x3 convolution within a level; with stride 2 to the next coarser one; after doubling, to the next finer one."""


@dataclass(frozen=True, slots=True)
class Level:
    """The active cells of one resolution."""

    height: int
    width: int
    cells: Tensor
    """[n], y * width + x, rising."""


@dataclass(frozen=True, slots=True)
class Taps:
    """Where each output's nine inputs lie, in the list of active inputs, then halo cells, then one row of zeros."""

    rows: Tensor
    """[outputs, 9], row by row of the kernel."""
    inputs: int
    """Active cells of the level that is read."""
    halo: Tensor
    """[m], cells of that level which are read and not active."""


class Shape:
    """The active cells of one edit: those of the finest level, and each coarser cell that covers one that changes.

    Args:
        active: [h, w], bool; both sides divisible by 2^(levels - 1).
        levels: resolutions of the network.
        core: [h, w], bool: of the active cells those that change; the others, a margin around them, are computed at
            the finest level only. None: all.
    """

    def __init__(self, active: Tensor, levels: int, core: Tensor | None = None) -> None:
        height, width = active.shape
        if height % 2 ** (levels - 1) or width % 2 ** (levels - 1):
            raise ValueError(f"{height} x {width} cells cannot be halved {levels - 1} times")
        self.active = active
        self.levels = [_level(active)]
        coarse = active if core is None else core
        for _ in range(levels - 1):
            height, width = coarse.shape
            coarse = coarse.view(height // 2, 2, width // 2, 2).any(dim=3).any(dim=1)
            self.levels.append(_level(coarse))
        self._taps: dict[tuple[Kind, int], Taps] = {}

    @cached_property
    def share(self) -> float:
        """Of the cells of the finest level that are active."""
        return len(self.levels[0].cells) / self.active.numel()

    def taps(self, kind: Kind, level: int) -> Taps:
        """Of a convolution whose outputs are the active cells of `level`."""
        if (kind, level) not in self._taps:
            self._taps[kind, level] = self._find(kind, level)
        return self._taps[kind, level]

    def _find(self, kind: Kind, level: int) -> Taps:
        target = self.levels[level]
        source = self.levels[level + {"same": 0, "down": -1, "up": 1}[kind]]
        step = torch.arange(-1, 2, device=target.cells.device)
        stride = 2 if kind == "down" else 1
        y = (target.cells // target.width * stride)[:, None] + step.repeat_interleave(3)
        x = (target.cells % target.width * stride)[:, None] + step.repeat(3)
        padded = target if kind == "up" else source  # what is zero is around the doubled plane
        inside = (y >= 0) & (y < padded.height) & (x >= 0) & (x < padded.width)
        if kind == "up":
            y, x = y // 2, x // 2
        at = torch.where(inside, y * source.width + x, 0)
        count = len(source.cells)
        listed = torch.full((source.height * source.width,), -1, device=at.device)
        listed[source.cells] = torch.arange(count, device=at.device)
        rows = listed[at]
        missing = inside & (rows < 0)
        halo, where = torch.unique(at[missing], return_inverse=True)
        rows[missing] = count + where
        rows[~inside] = count + len(halo)
        return Taps(rows, count, halo)


def grown(cells: Tensor, by: int = 1) -> Tensor:
    """[h, w], bool: these cells and all within `by` of them."""
    wide = torch.nn.functional.max_pool2d(cells[None].float(), 2 * by + 1, stride=1, padding=by)[0]
    return wide > 0


def _level(active: Tensor) -> Level:
    height, width = active.shape
    return Level(height, width, active.flatten().nonzero().flatten())
