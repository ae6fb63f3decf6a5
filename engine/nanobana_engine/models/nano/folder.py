"""Saves and loads nano as a diffusers folder: UNet, scheduler, text encoder, tokenizer, index."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import diffusers
from diffusers import FlowMatchEulerDiscreteScheduler, UNet2DConditionModel
from transformers import CLIPTextModel, PreTrainedTokenizerFast

from nanobana_engine.models.nano.text import make_text_encoder, make_tokenizer

WEIGHTS = Path(__file__).parent / "weights"
"""The folder that ships."""


@dataclass(frozen=True, slots=True)
class Parts:
    """The trained parts, on CPU in float32 and in evaluation mode."""

    unet: UNet2DConditionModel
    text_encoder: CLIPTextModel
    tokenizer: PreTrainedTokenizerFast
    facts: Mapping[str, Any]
    """How it was trained: step, samples, seed."""


def save(folder: Path, unet: UNet2DConditionModel, text_encoder: CLIPTextModel, facts: Mapping[str, Any]) -> None:
    """Writes fp16 copies of both networks and everything `DiffusionPipeline.from_pretrained` looks for."""
    import copy

    folder.mkdir(parents=True, exist_ok=True)
    copy.deepcopy(unet).half().save_pretrained(folder / "unet", safe_serialization=True)
    copy.deepcopy(text_encoder).half().save_pretrained(folder / "text_encoder", safe_serialization=True)
    make_tokenizer().save_pretrained(folder / "tokenizer")
    FlowMatchEulerDiscreteScheduler(num_train_timesteps=1000, shift=1.0).save_pretrained(folder / "scheduler")
    index = {
        "_class_name": "NanoInpaintPipeline",
        "_diffusers_version": diffusers.__version__,
        "scheduler": ["diffusers", "FlowMatchEulerDiscreteScheduler"],
        "text_encoder": ["transformers", "CLIPTextModel"],
        "tokenizer": ["transformers", "PreTrainedTokenizerFast"],
        "unet": ["diffusers", "UNet2DConditionModel"],
    }
    (folder / "model_index.json").write_text(json.dumps(index, indent=2) + "\n")
    (folder / "training.json").write_text(json.dumps(dict(facts), indent=2, sort_keys=True) + "\n")


def load(folder: Path = WEIGHTS) -> Parts:
    """The trained parts in a folder; raises FileNotFoundError if there are none."""
    if not (folder / "model_index.json").is_file():
        raise FileNotFoundError(f"No trained nano in {folder}. Train one with: make nano")
    unet = UNet2DConditionModel.from_pretrained(folder / "unet", use_safetensors=True).float().eval()
    encoder = CLIPTextModel.from_pretrained(folder / "text_encoder", use_safetensors=True).float().eval()
    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder / "tokenizer")
    return Parts(unet, encoder, tokenizer, json.loads((folder / "training.json").read_text()))


__all__ = ["WEIGHTS", "Parts", "load", "make_text_encoder", "save"]
