"""From a checked folder to a pipeline of diffusers in memory."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import torch
from torch import nn

from nanobana.protocol.errors import NotFound
from nanobana_engine.models.folder import types_in, variant_of
from nanobana_engine.models.preset import Preset
from nanobana_engine.models.quantized import check_taken, config_of_all
from nanobana_engine.models.sizes import TORCHAO, is_large

BUILDING = threading.RLock()
"""Held by whoever has a library build networks. While diffusers and transformers do, they put functions of their own
into torch's classes, for the whole process: what another thread builds meanwhile has no weights, and two at once leave
torch changed for good."""


def dtype_of(preset: Preset, device: torch.device | str) -> torch.dtype:
    """Of the weights: float32 on a CPU, else the preset's."""
    if torch.device(device).type == "cpu":
        return torch.float32
    dtype: torch.dtype = getattr(torch, preset.dtype)
    return dtype


STORED = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}
"""As files of weights name them."""


def dtypes_of(folder: Path, preset: Preset, device: torch.device | str) -> dict[str, torch.dtype]:
    """By part of a folder, what its weights are loaded as; ``default`` for the others.

    What will be made small stays as it is stored until then: it would be twice as large for a moment.
    """
    found = {"default": dtype_of(preset, device)}
    if preset.weights == "int8":
        stored = {part: STORED.get(kind) for part, kind in types_in(folder, preset.variant).items() if is_large(part)}
        found |= {part: dtype for part, dtype in stored.items() if dtype is not None}
    return found


def load_pipeline(pipeline: Any, folder: Path, preset: Preset, device: torch.device | str, **parts: Any) -> Any:
    """An instance of a pipeline class, its weights in memory (not on the device yet); nothing is downloaded.

    Args:
        parts: components given instead of loaded; None leaves one out.

    Raises:
        NotFound: ``incomplete_model``: a file is damaged, or its tensors have other shapes than its config says.
        BadInput: ``weights_unsupported``: a network of it cannot be kept as the preset wants.
    """
    quantize = preset.weights == TORCHAO
    if quantize:
        parts["quantization_config"] = config_of_all(folder, device)
    try:
        made = pipeline.from_pretrained(
            str(folder),
            dtype=dtypes_of(folder, preset, device),
            variant=variant_of(folder, preset.variant),
            use_safetensors=True,
            local_files_only=True,
            **parts,
        )
    except (OSError, ValueError, RuntimeError) as error:
        raise NotFound(
            f"The model in {folder} cannot be loaded: a file is missing or damaged. Download it again. ({error})",
            code="incomplete_model",
        ) from error
    if quantize:
        check_taken({name: part for name, part in made.components.items() if isinstance(part, nn.Module)}, folder)
    return made
