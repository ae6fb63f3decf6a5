"""Weights in eight bits: a quarter of float32's memory, half of bfloat16's, for an error that is measured (E10, ADR 8).

A weight is q times its row's scale, q a whole number in -127..127; what is computed keeps its type. The rows are made
floats again a few at a time, when the layer is called. torch alone does it, so it is the same on every device.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nanobana_engine.memory.mapped import MappedFiles
from nanobana_engine.models.sizes import SMALL_FROM

AT_ONCE = 1 << 22
"""Numbers that are floats again at a time."""
MOST = 127


class Int8Linear(nn.Linear):
    scale: nn.Parameter

    def forward(self, x: Tensor) -> Tensor:
        made = [
            F.linear(
                x, _whole(self.weight[rows], self.scale[rows], x.dtype), None if self.bias is None else self.bias[rows]
            )
            for rows in _pieces(self.weight)
        ]
        return made[0] if len(made) == 1 else torch.cat(made, dim=-1)


class Int8Conv2d(nn.Conv2d):
    scale: nn.Parameter

    def forward(self, x: Tensor) -> Tensor:
        made: Tensor = self._conv_forward(x, _whole(self.weight, self.scale, x.dtype), self.bias)
        return made


class Int8Embedding(nn.Embedding):
    scale: nn.Parameter
    dtype: torch.dtype
    """Of what it answers."""

    def forward(self, ids: Tensor) -> Tensor:
        return _whole(self.weight[ids], self.scale[ids], self.dtype)


SMALL: dict[type[nn.Module], type[nn.Module]] = {
    nn.Linear: Int8Linear,
    nn.Conv2d: Int8Conv2d,
    nn.Embedding: Int8Embedding,
}
"""By the exact class of a layer: a subclass may read its weight in a way of its own."""


def eight_bits(weight: Tensor) -> tuple[Tensor, Tensor]:
    """A weight [rows, …] as q [rows, …] and the rows' scales in float32: the nearest numbers, the largest at 127."""
    quantized = torch.empty_like(weight, dtype=torch.int8)
    scale = torch.empty(len(weight), dtype=torch.float32, device=weight.device)
    for piece in _pieces(weight):
        rows = weight[piece].flatten(1).float()
        scale[piece] = rows.abs().amax(dim=1).clamp(min=torch.finfo(torch.float32).tiny) / MOST
        quantized[piece] = (rows / scale[piece, None]).round_().clamp_(-MOST, MOST).view_as(quantized[piece])
    return quantized, scale


@torch.no_grad()
def shrink(network: nn.Module, least: int = SMALL_FROM, dtype: torch.dtype | None = None) -> None:
    """Put the large layers' weights of a network into eight bits, one layer after another.

    What was read of a mapped file for a layer is let go of before the next one: a network is never there whole.

    Args:
        least: numbers of a weight; smaller ones stay as they are: they are no memory, and the sensitive ones are among
            them.
        dtype: what is computed in from now on; None: the network's own.
    """
    stored = _mostly(network)
    becomes = {stored: dtype or stored}
    files = MappedFiles()
    uses = Counter(id(weight) for _, weight in network.named_parameters(remove_duplicate=False))
    shared: dict[int, tuple[Tensor, nn.Parameter, nn.Parameter]] = {}
    for owner in list(network.modules()):
        for name, layer in list(owner.named_children()):
            kind = SMALL.get(type(layer))
            weight = getattr(layer, "weight", None)
            if (
                kind is None
                or not (isinstance(weight, Tensor) and weight.is_floating_point())
                or weight.numel() < least
            ):
                continue
            small = shared.get(id(weight)) or (weight, *_kept(weight))
            if uses[id(weight)] > 1:
                shared[id(weight)] = small
            setattr(owner, name, _layer(kind, layer, *small[1:], becomes.get(weight.dtype, weight.dtype)))
            if uses[id(weight)] == 1:
                files.let_go(weight.data_ptr(), weight.nbytes)
    scales = {id(layer.scale) for layer in network.modules() if type(layer) in SMALL.values()}
    for left in (*network.parameters(), *network.buffers()):
        if left.is_floating_point() and id(left) not in scales:
            # a copy, for what is left would keep the whole file of the weights mapped
            left.data = left.data.to(becomes.get(left.dtype, left.dtype), copy=True)


def _mostly(network: nn.Module) -> torch.dtype:
    """What most numbers of a network are."""
    numbers: Counter[torch.dtype] = Counter()
    for weight in network.parameters():
        if weight.is_floating_point():
            numbers[weight.dtype] += weight.numel()
    return max(numbers, key=lambda dtype: numbers[dtype], default=torch.float32)


def _layer(
    kind: type[nn.Module], layer: nn.Module, small: nn.Parameter, scale: nn.Parameter, dtype: torch.dtype
) -> nn.Module:
    """The same layer with a small weight; it takes over everything else of it."""
    made = kind.__new__(kind)
    made.__dict__.update({**layer.__dict__, "_parameters": dict(layer._parameters), "dtype": dtype})
    made.weight, made.scale = small, scale
    return made


def _kept(weight: Tensor) -> tuple[nn.Parameter, nn.Parameter]:
    quantized, scale = eight_bits(weight)
    return nn.Parameter(quantized, requires_grad=False), nn.Parameter(scale, requires_grad=False)


def _whole(weight: Tensor, scale: Tensor, dtype: torch.dtype) -> Tensor:
    """Rows of a weight as floats; `scale` has the rows' shape."""
    return (weight * scale.reshape(*scale.shape, *[1] * (weight.ndim - scale.ndim))).to(dtype)


def _pieces(weight: Tensor) -> Iterator[slice]:
    """Rows of about AT_ONCE numbers."""
    count = len(weight)
    step = max(1, AT_ONCE * count // max(1, weight.numel()))
    return (slice(start, start + step) for start in range(0, count, step))
