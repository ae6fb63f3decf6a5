"""The adapter of FLUX.1-Fill: the network sees the picture with its hole and the mask beside the noise.

Conventions as diffusers' `FluxFillPipeline` has them: the hole is cut where the denoise mask reaches one half and is
mid-grey, mask pixels are channels of the tokens, guidance is an input of the network and costs nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from nanobana_engine.models.base import Preset, Request
from nanobana_engine.models.dit import DitAdapter, Row, pack, places, short_enough, unpack
from nanobana_engine.models.recent import Recent

WORDS = 512
"""Tokens of a prompt that T5 is given; CLIP, which gives the gist only, reads its first 77."""


@dataclass(frozen=True, slots=True)
class FillConditioning:
    """What the network is told of one edit."""

    words: Tensor
    """[tokens, width] of T5."""
    gist: Tensor
    """[width] of CLIP."""
    hole: Tensor
    """Tokens of the picture without its hole and of the mask, [h/2 · w/2, 64 + 256]."""


class FluxFillAdapter(DitAdapter):
    """Wraps a `FluxFillPipeline`."""

    family = "flux-fill"

    def __init__(self, pipeline: Any, preset: Preset | None = None, device: torch.device | str = "cpu") -> None:
        super().__init__(pipeline, preset, device)
        self._words: Recent[tuple[Tensor, Tensor]] = Recent(64)

    @torch.inference_mode()
    def _embed(self, words: str) -> tuple[Tensor, Tensor]:
        pipeline = self._pipeline
        short_enough(len(pipeline.tokenizer_2(words).input_ids), WORDS)
        most = pipeline.tokenizer.model_max_length
        read = pipeline.tokenizer(words, truncation=True, max_length=most).input_ids
        # cut here: the pipeline would cut too, and write the prompt into the log
        first = pipeline.tokenizer.decode(read, skip_special_tokens=True) if len(read) == most else words
        embeds, pooled, _ = pipeline.encode_prompt(first, words, device=self.device)
        return embeds[0], pooled[0]

    @torch.inference_mode()
    def condition(self, request: Request) -> FillConditioning:
        """
        Raises:
            BadInput: ``prompt_too_long``.
        """
        words, gist = self._words.get(request.prompt, partial(self._embed, request.prompt))
        hole = request.mask >= 0.5
        kept = self.encode(np.where(hole[..., None], np.float32(0.5), request.pixels))
        mask = F.pixel_unshuffle(torch.from_numpy(hole[None, None].astype(np.float32)), self.preset.latent_stride)
        return FillConditioning(words, gist, torch.cat([pack(kept[None]), pack(mask)], dim=-1)[0])

    def _velocities(self, rows: Sequence[Row]) -> list[Tensor]:
        dtype, device = self._transformer.dtype, self.device
        items = [row.item for row in rows]
        given = [item.conditioning for item in items]
        height, width = items[0].latents.shape[-2:]
        noisy = pack(torch.stack([item.latents for item in items]))
        words = torch.stack([one.words for one in given]).to(device, dtype)
        guidance = torch.tensor([item.guidance for item in items], device=device)
        predicted = self._transformer(
            hidden_states=torch.cat([noisy, torch.stack([one.hole for one in given])], dim=-1).to(device, dtype),
            timestep=torch.tensor([item.sigma for item in items], device=device),
            guidance=guidance if self._transformer.config.guidance_embeds else None,
            pooled_projections=torch.stack([one.gist for one in given]).to(device, dtype),
            encoder_hidden_states=words,
            txt_ids=torch.zeros((words.shape[1], 3), device=device, dtype=dtype),
            img_ids=places(height, width, axes=3).to(device, dtype),
            return_dict=False,
        )[0]
        return list(unpack(predicted.float(), height, width))
