"""Matrix products by oneDNN where torch would call a library that is slower on some processors.

For single precision torch asks MKL, which on processors that are not Intel's uses vectors of half their width: on an
AMD EPYC 115 GFLOP/s a core where oneDNN reaches 260, and less for the short lists of small edits. The values are those
of another order of summation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """[..., in] times [out, in] → [..., out], as `torch.nn.functional.linear`."""
    if not _is_ours(x, weight, bias):
        return F.linear(x, weight, bias)
    made: Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")
    return made


class Products(TorchFunctionMode):
    """While it is entered, every linear layer that is called multiplies by `linear`; of the modules nothing changes."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        return (linear if func is F.linear else func)(*args, **(kwargs or {}))


def _is_ours(x: Tensor, weight: Tensor, bias: Tensor | None) -> bool:
    """Whether oneDNN is here, and takes them: plain tensors of single precision without a gradient."""
    return (
        _IS_HERE
        and not torch.is_grad_enabled()
        and x.device.type == "cpu"
        and x.dtype == weight.dtype == torch.float32
        and (bias is None or bias.dtype == torch.float32)
        and not hasattr(weight, "__tensor_flatten__")  # a quantized one, which multiplies in its own way
        and weight.is_contiguous()
        and x.numel() > 0
    )


_IS_HERE = bool(torch._C._has_mkldnn) and hasattr(torch.ops.mkldnn, "_linear_pointwise")
