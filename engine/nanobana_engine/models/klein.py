"""The adapter of FLUX.2 klein: an editing model that looks at the picture as it stands and at references beside it.

Conventions as diffusers' `Flux2KleinInpaintPipeline` has them: every picture that is looked at has a time of its own
(10, 20 …), latents are normalised by the VAE's running statistics, a distilled model has no guidance.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from PIL import Image, ImageOps
from torch import Tensor

from nanobana_engine.models.base import Item, Preset, Request
from nanobana_engine.models.dit import Row, places, said, short_enough, unpack
from nanobana_engine.models.looking import MEGAPIXEL, LookingAdapter, LookingConditioning, now, on_white, sizes
from nanobana_engine.models.recent import Recent

WORDS = 512
"""Tokens of a prompt that the text encoder is given, its chat template included."""
APART = 10.0
"""Time between one picture that is looked at and the next; the one being made has time 0."""


class KleinAdapter(LookingAdapter):
    """Wraps a `Flux2KleinPipeline`."""

    family = "flux2-klein"

    def __init__(self, pipeline: Any, preset: Preset | None = None, device: torch.device | str = "cpu") -> None:
        super().__init__(pipeline, preset, device)
        self._words: Recent[Tensor] = Recent(32)
        self._knows_guidance = not pipeline.config.is_distilled

    @torch.inference_mode()
    def _embed(self, words: str) -> Tensor:
        """[tokens, width]."""
        short_enough(said(self._pipeline.tokenizer, words, thinking=False), WORDS)
        embeds, _ = self._pipeline.encode_prompt(words, device=self.device)
        result: Tensor = embeds[0]
        return result

    def condition(self, request: Request) -> LookingConditioning:
        """
        Raises:
            BadInput: ``prompt_too_long``.
        """
        prompt = self._words.get(request.prompt, partial(self._embed, request.prompt))
        negative = None
        if self._knows_guidance:
            negative = self._words.get(request.negative, partial(self._embed, request.negative))
        return LookingConditioning(prompt, negative, self._look(now(request), [*map(on_white, request.references)]))

    def _brought(self, image: Image.Image) -> Image.Image:
        shrink = min(1.0, math.sqrt(MEGAPIXEL / (image.width * image.height)))
        side = 2 * self.preset.latent_stride
        size = [max(side, int(length * shrink) // side * side) for length in image.size]
        return ImageOps.fit(image, (size[0], size[1]), Image.Resampling.LANCZOS)

    def _statistics(self, latents: Tensor) -> tuple[Tensor, Tensor]:
        """The VAE keeps them by place in a cell of 2 × 2 latents, [C · 4]."""
        norm = self._vae.bn
        cells = (1, latents.shape[-2] // 2, latents.shape[-1] // 2)
        mean, variance = (
            kept.to(latents).reshape(-1, 2, 2).repeat(*cells) for kept in (norm.running_mean, norm.running_var)
        )
        return mean, torch.sqrt(variance + self._vae.config.batch_norm_eps)

    def _shift(self, tokens: int, steps: int) -> float:
        """The family's own: a line in tokens at 10 steps, another at 200, and a line in steps between them.

        The constants are the authors', as in diffusers' `compute_empirical_mu`.
        """
        at_200 = 0.00016927 * tokens + 0.45666666
        if tokens > 4300:
            return at_200
        at_10 = 8.73809524e-05 * tokens + 1.89833333
        return at_10 + (at_200 - at_10) * (steps - 10.0) / 190.0

    def _is_guided(self, item: Item) -> bool:
        return self._knows_guidance and item.guidance > 1

    def _velocities(self, rows: Sequence[Row]) -> list[Tensor]:
        (height, width), *seen = sizes(rows[0].item)
        ids = [places(height, width, axes=4)]
        ids += [places(*size, axes=4, time=APART * (n + 1)) for n, size in enumerate(seen)]
        words = torch.stack(self._words_of(rows))
        order = torch.zeros((words.shape[1], 4), device=self.device)
        order[:, 3] = torch.arange(words.shape[1])
        predicted = self._transformer(
            hidden_states=self._packed(rows),
            timestep=torch.tensor([row.item.sigma for row in rows], device=self.device),
            guidance=None,
            encoder_hidden_states=words,
            txt_ids=order,
            img_ids=torch.cat(ids).to(self.device),
            return_dict=False,
        )[0]
        return list(unpack(predicted[:, : height * width // 4].float(), height, width))
