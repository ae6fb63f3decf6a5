"""From a checked folder to a pipeline of Stable Diffusion whose parts belong together."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from nanobana.protocol.errors import BadInput
from nanobana_engine.models.base import Preset
from nanobana_engine.models.loading import load_pipeline
from nanobana_engine.models.loras import Loras
from nanobana_engine.models.vae.tiny import TinyVae


def pipeline_in(
    folder: Path,
    name: str,
    preset: Preset,
    device: torch.device | str,
    few_step: Path | None,
    *,
    left_out: tuple[str, ...],
    width: Callable[[Any], int],
) -> Any:
    """An instance of a pipeline class of diffusers, its weights in memory; nothing is downloaded.

    Args:
        name: of the class.
        few_step: the file of `preset.few_step`, merged into the weights.
        left_out: components that are not loaded.
        width: numbers of a token that the pipeline's text encoders give.

    Raises:
        NotFound: ``incomplete_model``.
        BadInput: ``wrong_component``, ``bad_lora``, ``wrong_lora``.
    """
    import diffusers

    parts: dict[str, Any] = dict.fromkeys(left_out)
    if "safety_checker" in parts:
        parts["requires_safety_checker"] = False
    pipeline = load_pipeline(getattr(diffusers, name), folder, preset, device, **parts)
    _check(pipeline.unet.config, width(pipeline), folder)
    if few_step and preset.few_step:
        Loras(pipeline).merge(few_step, preset.few_step.weight)
    return pipeline


def tiny_vae_in(folder: Path, preset: Preset, vae: Any) -> TinyVae:
    """The small autoencoder in a folder, for the latents of a large one and as that one is stored."""
    channels = int(vae.config.latent_channels)
    return TinyVae.from_folder(folder, preset.latent_stride, channels, next(vae.parameters()))


def _check(unet: Any, width: int, folder: Path) -> None:
    """Raises BadInput ``wrong_component``: parts that do not belong together."""
    if unet.in_channels not in (4, 9):
        raise BadInput(
            f"The model in {folder} cannot be run: its unet takes {unet.in_channels} channels, not 4 or 9.",
            code="wrong_component",
        )
    if unet.cross_attention_dim != width:
        raise BadInput(
            f"The model in {folder} cannot be run: its unet was made for text embeddings of "
            f"{unet.cross_attention_dim} numbers, and its text encoder gives {width}.",
            code="wrong_component",
        )
