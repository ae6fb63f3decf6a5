"""What Qwen-Image-Edit's text encoder is given: words with pictures among them, made with Pillow alone.

Stands in for transformers' `Qwen2VLProcessor`, whose video half needs torchvision for videos that nobody shows it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image

PICTURE = "<|image_pad|>"
"""Stands once for each picture in a prompt, and once for each of its tokens in what the encoder reads."""


class PictureWords:
    """Called as diffusers' pipelines call a processor."""

    def __init__(self, tokenizer: Any, image_processor: Any) -> None:
        self.tokenizer = tokenizer
        self.image_processor = image_processor

    @classmethod
    def from_folder(cls, folder: Path, tokenizer: Any) -> PictureWords:
        """
        Args:
            folder: the model's `processor`.
        """
        from transformers import Qwen2VLImageProcessorPil

        return cls(tokenizer, Qwen2VLImageProcessorPil.from_pretrained(str(folder), local_files_only=True))

    def __call__(self, *, text: Sequence[str], images: Any, padding: bool, return_tensors: str) -> Any:
        """
        Args:
            images: one picture or several; each takes the place of one PICTURE, in order.

        Returns:
            input_ids and attention_mask [B, tokens], pixel_values and image_grid_thw, as one batch that moves together.
        """
        shown = [images] if isinstance(images, Image.Image) else list(images)
        seen = self.image_processor(images=shown, return_tensors=return_tensors)
        counts = iter((seen["image_grid_thw"].prod(dim=1) // self.image_processor.merge_size**2).tolist())
        spread = [_spread(words, counts) for words in text]
        read = self.tokenizer(spread, padding=padding, return_tensors=return_tensors)
        return type(seen)({**read, **seen})


def tell_pictures(encoder: Any) -> None:
    """Have a Qwen2.5-VL encoder told which tokens are of pictures, as it needs for their places in two dimensions.

    diffusers 0.42 does not say it, and transformers 5 then takes all tokens for words (diffusers issue 14194).
    """

    def add(_: Any, given: tuple[Any, ...], named: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        ids = named.get("input_ids")
        if isinstance(ids, torch.Tensor) and named.get("mm_token_type_ids") is None:
            named["mm_token_type_ids"] = (ids == encoder.config.image_token_id).int()
        return given, named

    encoder.register_forward_pre_hook(add, with_kwargs=True)


def plain(words: str) -> str:
    """A prompt that cannot be taken for the encoder's own signs."""
    return words.replace("<|", "< |")


def _spread(words: str, counts: Any) -> str:
    first, *rest = words.split(PICTURE)
    return first + "".join(PICTURE * next(counts) + part for part in rest)
