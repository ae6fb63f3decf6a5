"""The adapter of Stable Diffusion XL: two text encoders, a pooled prompt, and the picture's size as conditioning."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from nanobana_engine.models.base import Item
from nanobana_engine.models.sd.adapter import SdAdapter
from nanobana_engine.models.sd.prompts import Prompts
from nanobana_engine.models.sd.reader import Reader


class XlPrompts(Prompts):
    """Two encoders, of which the hidden states before the last layer are taken."""

    @staticmethod
    def width(pipeline: Any) -> int:
        return int(pipeline.text_encoder.config.hidden_size + pipeline.text_encoder_2.config.hidden_size)

    def _make_readers(self) -> list[Reader]:
        pipeline = self._pipeline
        return [
            Reader(pipeline.tokenizer, pipeline.text_encoder.eval(), from_end=2),
            Reader(pipeline.tokenizer_2, pipeline.text_encoder_2.eval(), from_end=2),
        ]

    def _read(self, words: str, pieces: int, is_negative: bool) -> tuple[Tensor, Tensor | None]:
        """Both encoders' widths side by side, and the second one's pooled prompt; zeros for no negative prompt."""
        first, second = (reader.read(words, pieces) for reader in self._readers)
        tokens = torch.cat([first.tokens, second.tokens], dim=-1)
        assert second.pooled is not None
        if is_negative and not words and self._pipeline.config.force_zeros_for_empty_prompt:
            return torch.zeros_like(tokens), torch.zeros_like(second.pooled)
        return tokens, second.pooled


class SdxlAdapter(SdAdapter):
    """Everything else is as in `SdAdapter`."""

    pipeline = "StableDiffusionXLInpaintPipeline"
    left_out = ("feature_extractor", "image_encoder")
    prompts = XlPrompts
    vae_overflows = True

    def _added(self, items: Sequence[Item], guided: Sequence[int]) -> dict[str, Tensor] | None:
        """The pooled prompts, and for each row the sizes that it is told: original, crop's corner, target."""
        given = [item.conditioning for item in items]
        pooled = [one.pooled for one in given] + [given[n].negative_pooled for n in guided]
        stride = self.preset.latent_stride
        sizes = [[side * stride for side in item.latents.shape[-2:]] for item in items]
        rows = [[*size, 0, 0, *size] for size in sizes]
        ids = torch.tensor([*rows, *(rows[n] for n in guided)], dtype=self._unet.dtype, device=self.device)
        return {"text_embeds": torch.stack(pooled).to(self.device, self._unet.dtype), "time_ids": ids}
