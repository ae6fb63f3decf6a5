"""Parameters whose tensor stands for others that it is made of, as quantized ones' do: their bytes, and moving them.

Such a tensor says the shape and type of the numbers that it stands for, and torch sets only that shell by ``.data``.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn


def is_wrapped(tensor: Tensor) -> bool:
    return hasattr(tensor, "__tensor_flatten__")


def stored_bytes(tensor: Tensor) -> int:
    """Of what it is made of."""
    return sum(each.numel() * each.element_size() for each in _made_of(tensor))


def put(weight: nn.Parameter, value: Tensor) -> None:
    """The same parameter with another value, wherever that is; whoever holds the parameter has it."""
    if is_wrapped(value):
        torch.utils.swap_tensors(weight, nn.Parameter(value, requires_grad=False))
    else:
        weight.data = value


def empty(weight: nn.Parameter) -> None:
    """Without its numbers, until `put`."""
    for each in _made_of(weight):
        each.data = each.data.new_empty(0)


def _made_of(tensor: Tensor) -> Iterator[Tensor]:
    if not is_wrapped(tensor):
        yield tensor
        return
    names, _ = tensor.__tensor_flatten__()  # type: ignore[attr-defined]
    for name in names:
        yield from _made_of(getattr(tensor, name))
