"""What is kept of one dense pass: what convolutions read, what self-attention attends to, how norms scaled."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn


@dataclass(slots=True)
class Record:
    """Of one picture at one noise level. All by the name of the module; activations in the recorder's type."""

    planes: dict[str, Tensor] = field(default_factory=dict)
    """What a convolution reads, [cells, channels]."""
    keys: dict[str, Tensor] = field(default_factory=dict)
    """Of self-attention, [cells, width]."""
    values: dict[str, Tensor] = field(default_factory=dict)
    norms: dict[str, tuple[Tensor, Tensor]] = field(default_factory=dict)
    """A GroupNorm as scale and shift, [channels] each, in float32: y = scale x + shift."""
    output: Tensor = field(default_factory=lambda: torch.empty(0))
    """[channels, h, w], in float32."""

    @property
    def nbytes(self) -> int:
        held = [*self.planes.values(), *self.keys.values(), *self.values.values(), self.output]
        return sum(each.nbytes for each in held) + sum(a.nbytes + b.nbytes for a, b in self.norms.values())


@dataclass(slots=True)
class Sites:
    """The modules at which a walker needs a record, filled as the walkers are made."""

    reads: dict[str, nn.Module] = field(default_factory=dict)
    """Whose input [B, channels, h, w] is kept."""
    norms: dict[str, nn.GroupNorm] = field(default_factory=dict)
    attends: dict[str, Any] = field(default_factory=dict)
    """Self-attention, whose `to_k` and `to_v` answer [B, cells, width]."""


def write(kept: Tensor, cells: Tensor, rows: Tensor) -> None:
    """Put these cells' rows into what is kept, at the edge of its type where they are beyond it."""
    if kept.dtype != rows.dtype:
        most = torch.finfo(kept.dtype).max
        rows = rows.clamp(-most, most).to(kept.dtype)
    kept.index_copy_(0, cells, rows)


class Recorder:
    """Listens to a network's own forward pass.

    Args:
        dtype: of what is kept; None keeps it as it is.
    """

    def __init__(self, sites: Sites, dtype: torch.dtype | None) -> None:
        self._sites = sites
        self._dtype = dtype

    @contextmanager
    def listening(self, rows: int) -> Iterator[list[Record]]:
        """One call with a batch of so many rows is recorded meanwhile; `output` is the caller's to fill."""
        records = [Record() for _ in range(rows)]
        sites = self._sites
        hooks = [
            *(site.register_forward_pre_hook(partial(self._read, records, name)) for name, site in sites.reads.items()),
            *(site.register_forward_pre_hook(partial(_norm, records, name)) for name, site in sites.norms.items()),
            *(
                getattr(site, to).register_forward_hook(partial(self._projected, records, name, kept))
                for name, site in sites.attends.items()
                for to, kept in (("to_k", "keys"), ("to_v", "values"))
            ),
        ]
        try:
            yield records
        finally:
            for hook in hooks:
                hook.remove()

    def _read(self, records: list[Record], name: str, _: nn.Module, given: tuple[Tensor, ...]) -> None:
        for record, plane in zip(records, given[0].permute(0, 2, 3, 1).flatten(1, 2), strict=True):
            record.planes[name] = self._kept(plane)

    def _projected(
        self, records: list[Record], name: str, kept: str, _: nn.Module, __: tuple[Tensor, ...], answer: Tensor
    ) -> None:
        for record, rows in zip(records, answer, strict=True):
            getattr(record, kept)[name] = self._kept(rows)

    def _kept(self, rows: Tensor) -> Tensor:
        """A copy; as it is where the smaller type cannot hold it."""
        wanted = rows.dtype
        if self._dtype is not None and bool(rows.abs().max() < torch.finfo(self._dtype).max):
            wanted = self._dtype
        return rows.to(wanted, copy=True, memory_format=torch.contiguous_format)


def _norm(records: list[Record], name: str, module: nn.Module, given: tuple[Tensor, ...]) -> None:
    assert isinstance(module, nn.GroupNorm)
    rows = given[0].permute(0, 2, 3, 1).flatten(1, 2)
    for record, plane in zip(records, rows, strict=True):
        record.norms[name] = scale_and_shift(module, plane)


def scale_and_shift(norm: nn.GroupNorm, rows: Tensor) -> tuple[Tensor, Tensor]:
    """A GroupNorm over these cells [n, channels] as y = scale x + shift, [channels] each, in float32."""
    grouped = rows.float().view(len(rows), norm.num_groups, -1)
    variance, mean = torch.var_mean(grouped, dim=(0, 2), correction=0)
    each = grouped.shape[2]
    scale = (variance + norm.eps).rsqrt().repeat_interleave(each) * norm.weight.float()
    return scale, norm.bias.float() - mean.repeat_interleave(each) * scale
