"""Weights of convolutions in the order in which lists of cells are multiplied by them, never both orders in memory."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn


@torch.no_grad()
def channels_last(network: nn.Module, after: Callable[[Tensor], object] | None = None) -> None:
    """Put them into channels-last order, one after another; no value changes, and what is so already stays.

    `Module.to(memory_format=…)` makes a copy of a 1x1 convolution too, which has the same bytes in either order.

    Args:
        after: called with what each weight was until now, which nobody needs any more.
    """
    for weight in network.parameters():
        if weight.ndim == 4 and not weight.is_contiguous(memory_format=torch.channels_last):
            was = weight.data
            weight.data = was.contiguous(memory_format=torch.channels_last)
            if after is not None:
                after(was)
