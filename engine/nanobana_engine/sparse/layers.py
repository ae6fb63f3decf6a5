"""Convolutions and norms on lists of active cells."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from nanobana_engine.sparse.call import Call
from nanobana_engine.sparse.geometry import Kind
from nanobana_engine.sparse.products import linear
from nanobana_engine.sparse.record import Sites, scale_and_shift, write
from nanobana_engine.sparse.refuse import UnknownBlock, check, check_conv

AT_ONCE = 4 << 20
"""Numbers that are gathered before they are multiplied: about what a processor's cache holds."""


class Conv3:
    """A 3x3 convolution: the nine neighbours of each active cell side by side, times the weights as one matrix.

    With the weights in channels-last order (`Executor` sees to it) that matrix is a view of them.

    Args:
        site: the module whose input is the plane that is read; the convolution itself, or what doubles the plane.
    """

    def __init__(self, conv: Any, name: str, sites: Sites, kind: Kind = "same", site: nn.Module | None = None) -> None:
        self._conv = check_conv(conv, name, side=3, stride=2 if kind == "down" else 1)
        self._name = name
        self._kind = kind
        sites.reads[name] = site or conv

    def __call__(self, x: Tensor, call: Call) -> Tensor:
        """[n, in] → [n', out]; with kind ``down`` or ``up`` the walk goes on at the next level."""
        written = call.level
        if self._kind != "same":
            call.level += 1 if self._kind == "down" else -1
        taps = call.pack.taps(self._kind, call.level)
        source = torch.cat([x, *self._halo(x, call, taps.halos), x.new_zeros(1, x.shape[1])])
        for edit, (record, span) in enumerate(zip(call.records, call.pack.spans(written), strict=True)):
            if call.writes[edit]:
                cells = call.pack.shapes[edit].levels[written].cells
                write(record.planes[self._name], cells, x[span])
        return self._multiplied(source, taps.rows)

    def _halo(self, x: Tensor, call: Call, halos: tuple[Tensor, ...]) -> list[Tensor]:
        if not call.parts.halo:
            return [x.new_zeros(sum(map(len, halos)), x.shape[1])]
        return [
            record.planes[self._name].index_select(0, halo).to(x.dtype)
            for record, halo in zip(call.records, halos, strict=True)
        ]

    def _multiplied(self, source: Tensor, rows: Tensor) -> Tensor:
        weight = self._conv.weight.permute(0, 2, 3, 1).flatten(1)
        most = max(1, AT_ONCE // weight.shape[1])
        made = [
            linear(source.index_select(0, some.flatten()).view(len(some), -1), weight, self._conv.bias)
            for some in torch.split(rows, most)
        ]
        return made[0] if len(made) == 1 else torch.cat(made)


class Pointwise:
    """A 1x1 convolution, or the linear layer that stands in its place."""

    def __init__(self, module: Any, name: str) -> None:
        self._module = module
        self._is_conv = isinstance(module, nn.Conv2d)
        if self._is_conv:
            check_conv(module, name, side=1)
        elif not hasattr(module, "weight") or module.weight.ndim != 2:
            raise UnknownBlock(name, f"is a {type(module).__name__}, neither a convolution nor a linear layer")

    def __call__(self, x: Tensor) -> Tensor:
        if self._is_conv:
            return linear(x, self._module.weight.flatten(1), self._module.bias)
        made: Tensor = self._module(x)
        return made


class ReplayedNorm:
    """A GroupNorm that scales as it did in the recorded pass."""

    def __init__(self, norm: Any, name: str, sites: Sites) -> None:
        check(norm, "GroupNorm", name, (), affine=True)
        self._norm: nn.GroupNorm = norm
        self._name = name
        sites.norms[name] = norm

    def __call__(self, x: Tensor, call: Call, added: Tensor | None = None) -> Tensor:
        """A new list, [n, channels].

        Args:
            added: [edits, channels], to all cells of an edit before the norm.
        """
        made = torch.empty_like(x)
        for edit, span in enumerate(call.spans):
            scale, shift = self._of(x[span], call, edit, added)
            if added is not None:
                shift = torch.addcmul(shift, added[edit].float(), scale)
            torch.addcmul(shift.to(x.dtype), x[span], scale.to(x.dtype), out=made[span])
        return made

    def _of(self, x: Tensor, call: Call, edit: int, added: Tensor | None) -> tuple[Tensor, Tensor]:
        if call.parts.norms:
            return call.records[edit].norms[self._name]
        return scale_and_shift(self._norm, x if added is None else x + added[edit])
