"""Several edits as one list of cells: each keeps its own geometry, and every matrix product sees all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

import torch
from torch import Tensor

from nanobana_engine.sparse.geometry import Kind, Shape


@dataclass(frozen=True, slots=True)
class PackedTaps:
    """As `Taps`, of all edits: active inputs of each in turn, then the halos of each in turn, then one row of zeros."""

    rows: Tensor
    halos: tuple[Tensor, ...]
    """By edit."""


class Pack:
    """Lives for one call."""

    def __init__(self, shapes: Sequence[Shape]) -> None:
        self.shapes = tuple(shapes)
        self._spans: dict[int, list[slice]] = {}
        self._taps: dict[tuple[Kind, int], PackedTaps] = {}

    def spans(self, level: int) -> list[slice]:
        """By edit, where its cells lie in the list of a level."""
        if level not in self._spans:
            ends = accumulate((len(shape.levels[level].cells) for shape in self.shapes), initial=0)
            self._spans[level] = [slice(*pair) for pair in pairwise(ends)]
        return self._spans[level]

    def taps(self, kind: Kind, level: int) -> PackedTaps:
        """Of a convolution whose outputs are the active cells of `level`."""
        if (kind, level) not in self._taps:
            self._taps[kind, level] = self._join(kind, level)
        return self._taps[kind, level]

    def _join(self, kind: Kind, level: int) -> PackedTaps:
        taps = [shape.taps(kind, level) for shape in self.shapes]
        inputs, halos = sum(each.inputs for each in taps), sum(len(each.halo) for each in taps)
        fresh, behind = 0, inputs
        rows = []
        for each in taps:
            here, last = each.inputs, each.inputs + len(each.halo)
            moved = torch.where(each.rows < here, each.rows + fresh, each.rows + (behind - here))
            rows.append(moved.masked_fill(each.rows == last, inputs + halos))
            fresh, behind = fresh + here, behind + len(each.halo)
        return PackedTaps(torch.cat(rows), tuple(each.halo for each in taps))
