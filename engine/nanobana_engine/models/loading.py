"""From a checked folder to a pipeline of diffusers in memory."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import torch

from nanobana.protocol.errors import NotFound
from nanobana_engine.models.folder import variant_of
from nanobana_engine.models.preset import Preset

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


def load_pipeline(pipeline: Any, folder: Path, preset: Preset, device: torch.device | str, **parts: Any) -> Any:
    """An instance of a pipeline class, its weights in memory (not on the device yet); nothing is downloaded.

    Args:
        parts: components given instead of loaded; None leaves one out.

    Raises:
        NotFound: ``incomplete_model``: a file is damaged, or its tensors have other shapes than its config says.
    """
    try:
        return pipeline.from_pretrained(
            str(folder),
            dtype=dtype_of(preset, device),
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
