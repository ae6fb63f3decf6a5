"""Matrix products by oneDNN are torch's own, and nothing else is taken for one."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nanobana_engine.sparse.products import Products, linear

SHAPES = [(1, 3, 5), (7, 64, 96), (25, 1280, 320), (400, 90, 32)]


def _given(rows: int, width: int, out: int, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    dice = torch.Generator().manual_seed(seed)
    return tuple(torch.randn(shape, generator=dice) for shape in ((rows, width), (out, width), (out,)))  # type: ignore[return-value]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("has_bias", [True, False])
@torch.inference_mode()
def test_a_product_is_the_one_in_double_precision(shape: tuple[int, int, int], has_bias: bool) -> None:
    x, weight, bias = _given(*shape)
    shift = bias if has_bias else None
    wanted = F.linear(x.double(), weight.double(), None if shift is None else shift.double())
    assert torch.allclose(linear(x, weight, shift).double(), wanted, rtol=1e-5, atol=1e-5 * shape[1] ** 0.5)


@torch.inference_mode()
def test_layers_multiply_so_while_the_mode_is_entered_and_only_then() -> None:
    x, weight, bias = _given(25, 1280, 320)
    layer = nn.Linear(1280, 320)
    layer.load_state_dict({"weight": weight, "bias": bias})
    before = layer(x)
    with Products():
        within = layer(x[None])[0]
    assert torch.equal(within, linear(x, weight, bias))
    assert torch.equal(layer(x), before)


def test_what_is_trained_is_half_or_empty_is_left_to_torch() -> None:
    x, weight, bias = _given(4, 8, 3)
    trained = weight.requires_grad_()
    (learnt,) = torch.autograd.grad(linear(x, trained, bias).sum(), trained)
    assert torch.equal(learnt, x.sum(0).expand(3, 8))
    with torch.inference_mode():
        assert linear(x[:0], weight, bias).shape == (0, 3)
        assert linear(x.bfloat16(), weight.bfloat16(), bias.bfloat16()).dtype == torch.bfloat16
        turned = weight.t().contiguous().t()
        assert torch.equal(linear(x, turned, bias), F.linear(x, turned, bias))
