"""From `--model NAME|FOLDER` to an adapter: names of built-in presets, or a folder in diffusers format."""

from __future__ import annotations

import json
from pathlib import Path

import torch

from nanobana.protocol.errors import NotFound
from nanobana_engine.models.base import ModelAdapter

DEFAULT = "nano"


def load(model: str | None = None, device: str | None = None) -> ModelAdapter:
    """The adapter of a model, its weights loaded.

    Args:
        model: a built-in name, or a folder with weights; None for the built-in default.
        device: torch's name of it; None takes a GPU where there is one.

    Raises:
        NotFound: ``unknown_model``, the sentence says what there is; ``incomplete_model``, what is missing.
    """
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    name = model or DEFAULT
    if name == DEFAULT:
        from nanobana_engine.models.nano.adapter import NanoAdapter

        return NanoAdapter.shipped(device=device)
    folder = Path(name).expanduser()
    if not folder.is_dir():
        raise NotFound(
            f"There is no model {name!r}. Built in: {DEFAULT}. Anything else is a folder in diffusers format, "
            "with a model_index.json in it.",
            code="unknown_model",
        )
    return _from_folder(folder, device)


def _from_folder(folder: Path, device: str) -> ModelAdapter:
    """By the pipeline class that the folder's index names."""
    try:
        named = json.loads((folder / "model_index.json").read_text("utf-8"))["_class_name"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise NotFound(
            f"{folder} holds no model: its model_index.json cannot be read.", code="unknown_model"
        ) from error
    pipeline = named[-1] if isinstance(named, list) else named
    if pipeline == "NanoInpaintPipeline":
        from nanobana_engine.models.nano.adapter import NanoAdapter

        return NanoAdapter.shipped(folder, device)
    if pipeline == "ZImagePipeline":
        from nanobana_engine.models.zimage import ZImageAdapter

        return ZImageAdapter.from_folder(folder, device)
    raise NotFound(
        f"{folder} holds a {pipeline}, which this version cannot run. Built in: {DEFAULT}.", code="unknown_model"
    )
