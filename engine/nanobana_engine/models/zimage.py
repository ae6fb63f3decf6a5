"""The adapter of Z-Image and Z-Image-Turbo: edits of different sizes, prompts and noise levels share one call.

The transformer takes a list of pictures, so nothing is padded to a common size here. Conventions of the family, as
diffusers' `ZImagePipeline` has them: its time is 1 - sigma, its output is the negative velocity, guidance g adds g
times what the prompt changes, and 0 switches it off.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from nanobana_engine.models.base import Item, Preset, Request
from nanobana_engine.models.dit import DitAdapter, Row, said, short_enough
from nanobana_engine.models.recent import Recent

WORDS = 512
"""Tokens of a prompt that the text encoder is given, its chat template included."""


@dataclass(frozen=True, slots=True)
class ZImageConditioning:
    """Embeddings of a prompt and of what to avoid, [tokens, width] each."""

    prompt: Tensor
    negative: Tensor


class ZImageAdapter(DitAdapter):
    """Wraps a `ZImagePipeline`."""

    family = "z-image"
    pipeline = "ZImagePipeline"

    def __init__(self, pipeline: Any, preset: Preset | None = None, device: torch.device | str = "cpu") -> None:
        super().__init__(pipeline, preset, device)
        self._words: Recent[Tensor] = Recent(64)

    @torch.inference_mode()
    def _embed(self, words: str) -> Tensor:
        """[tokens, width]."""
        short_enough(said(self._pipeline.tokenizer, words, thinking=True), WORDS)
        embeds, _ = self._pipeline.encode_prompt(words, device=self.device, do_classifier_free_guidance=False)
        result: Tensor = embeds[0]
        return result

    def condition(self, request: Request) -> ZImageConditioning:
        """Both prompts, each encoded once while it is remembered.

        Raises:
            BadInput: ``prompt_too_long``.
        """
        prompt, negative = (
            self._words.get(words, partial(self._embed, words)) for words in (request.prompt, request.negative)
        )
        return ZImageConditioning(prompt, negative)

    def call_key(self, item: Item) -> tuple[object, ...]:  # noqa: ARG002 - the seam's
        """Everything shares a call."""
        return (self.preset.family,)

    def _is_guided(self, item: Item) -> bool:
        return item.guidance > 0

    def _guided(self, wanted: Tensor, avoided: Tensor, guidance: float) -> Tensor:
        return wanted + guidance * (wanted - avoided)

    def _velocities(self, rows: Sequence[Row]) -> list[Tensor]:
        dtype = self._transformer.dtype
        words = [row.item.conditioning.negative if row.avoids else row.item.conditioning.prompt for row in rows]
        predicted = self._transformer(
            [row.item.latents.to(self.device, dtype)[:, None] for row in rows],
            torch.tensor([1.0 - row.item.sigma for row in rows], device=self.device),
            [embedding.to(self.device, dtype) for embedding in words],
            return_dict=False,
        )[0]
        return [-output[:, 0].float() for output in predicted]
