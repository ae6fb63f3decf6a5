"""Linear layers that multiply in eight bits: networks loaded with diffusers' quantization config for torchao (ADR 12).

Weights are whole numbers with a scale a row, and so is, call by call, what they are multiplied with: about three times
as quick as float32 on a CPU that knows the product, for twice the error of weights alone (`int8`). Convolutions stay.
Rows are scaled by themselves, so what shares a call changes nothing but where a rounding falls the other way (E11).
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import nn

from nanobana.protocol.errors import BadInput
from nanobana_engine.models.folder import components_of, is_quantized, read_index
from nanobana_engine.models.sizes import ENCODER, TORCHAO, is_large
from nanobana_engine.models.wrapped import is_wrapped

INSTALL = "pip install 'nanobana[quantize]'"
INSTEAD = "Take int8, which is built in and runs everywhere, or stored."
SIDE, ROWS = 64, (1, 48)
"""Of the products that are tried: kernels take one row and many along different ways."""
MOST_OFF = 0.03
"""What a product may be off by, root mean square over the answer's; right ones are by 0.009."""


def is_installed() -> bool:
    return find_spec("torchao") is not None


def tried_on(device: torch.device | str) -> None:
    """Multiplies a little on a device as networks will.

    Raises:
        BadInput: ``no_quantizer``: torchao is not installed, or not one that this torch can use;
            ``weights_unsupported``: the device cannot, or answers with something else.
    """
    if not is_installed():
        raise BadInput(f"Weights as {TORCHAO} need torchao: {INSTALL}. Or: {INSTEAD}", code="no_quantizer")
    try:
        from torchao.quantization import quantize_

        quantize = _eight_bits(device)
    except (ImportError, AttributeError, RuntimeError) as error:
        text = f"Weights as {TORCHAO} need another version of torchao: {INSTALL}. ({error}) Or: {INSTEAD}"
        raise BadInput(text, code="no_quantizer") from error
    dice = torch.Generator().manual_seed(0)
    layer = nn.Sequential(nn.Linear(SIDE, SIDE, bias=False))
    layer[0].weight.data = torch.randn(SIDE, SIDE, generator=dice)
    given = [torch.randn(rows, SIDE, generator=dice) for rows in ROWS]
    with torch.inference_mode(False), torch.no_grad():
        wanted = [layer(rows) for rows in given]
        try:
            quantize_(layer, quantize)
            layer.to(device)
            got = [layer(rows.to(device)).cpu() for rows in given]
        except (RuntimeError, NotImplementedError, AssertionError, TypeError) as error:
            text = f"Weights as {TORCHAO} do not run on {device}: {error}. {INSTEAD}"
            raise BadInput(text, code="weights_unsupported") from error
    off = max(float((ours - right).norm() / right.norm()) for ours, right in zip(got, wanted, strict=True))
    if not off < MOST_OFF:
        text = f"Weights as {TORCHAO} do not run on {device}: products are off by {off:.0%} there. {INSTEAD}"
        raise BadInput(text, code="weights_unsupported")


def config_of(part: str, device: torch.device | str) -> Any:
    """The configuration for one large part: transformers' own for text encoders, else diffusers'."""
    if part.startswith(ENCODER):
        from transformers import TorchAoConfig
    else:
        from diffusers import TorchAoConfig
    return TorchAoConfig(_eight_bits(device))


def config_of_all(folder: Path, device: torch.device | str) -> Any:
    """The configuration for a pipeline's large parts; what its author quantized keeps its own.

    Raises:
        BadInput: ``weights_unsupported``: it has no such part, or none is left.
    """
    from diffusers import PipelineQuantizationConfig

    parts = [part for part in components_of(read_index(folder)) if is_large(part) and not is_quantized(folder, part)]
    if not parts:
        text = f"The model in {folder} has no network that could be loaded as {TORCHAO}. {INSTEAD}"
        raise BadInput(text, code="weights_unsupported")
    return PipelineQuantizationConfig(quant_mapping={part: config_of(part, device) for part in parts})


def check_taken(parts: Mapping[str, nn.Module], folder: Path) -> None:
    """Raises BadInput ``weights_unsupported``: a network's class has no layer that was loaded in eight bits."""
    for name, part in parts.items():
        if is_large(name) and not any(is_wrapped(weight) for weight in part.parameters()):
            kind = type(part).__name__
            text = f"The {name} of {folder}, a {kind}, cannot be loaded as {TORCHAO}. {INSTEAD}"
            raise BadInput(text, code="weights_unsupported")


def _eight_bits(device: torch.device | str) -> Any:
    from torchao.quantization import Int8DynamicActivationInt8WeightConfig
    from torchao.utils import should_reduce_range

    # a CPU without the product adds up pairs in sixteen bits, where whole numbers of eight overflow
    return Int8DynamicActivationInt8WeightConfig(reduce_range=should_reduce_range(torch.device(device)))
