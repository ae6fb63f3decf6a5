"""The adapter of Qwen-Image-Edit: an editing model whose text encoder sees the pictures too.

Conventions as diffusers' `QwenImageEditPipeline` and `QwenImageEditPlusPipeline` have them: pictures that are looked at
follow the noise as further frames, guidance keeps each token's length. One thing differs: the picture as it stands is
looked at in the region's own size, not scaled to a megapixel, so that it lies exactly under what is made.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from nanobana.protocol.parameters import Ability
from nanobana_engine.models.base import Item, Preset, Request
from nanobana_engine.models.dit import Row, pack, short_enough, unpack
from nanobana_engine.models.folder import pipeline_of
from nanobana_engine.models.loading import load_pipeline
from nanobana_engine.models.looking import (
    MEGAPIXEL,
    LookingAdapter,
    LookingConditioning,
    as_image,
    now,
    on_white,
    sizes,
)
from nanobana_engine.models.qwen_words import PictureWords, plain, tell_pictures
from nanobana_engine.models.recent import Recent, digest

WORDS = 1024
"""Tokens of a prompt that the text encoder is given."""
GLANCE = 384 * 384
"""Area at which the text encoder sees each picture, where there may be several."""
SNAP = 32
"""Sides of what is scaled for the network are multiples of this."""
NOTHING = " "
"""What to avoid where nobody said it: the model's authors guide away from a blank."""


class QwenEditAdapter(LookingAdapter):
    """Wraps a `QwenImageEditPipeline`, or the `Plus` one, which takes references."""

    family = "qwen-image-edit"

    def __init__(self, pipeline: Any, preset: Preset | None = None, device: torch.device | str = "cpu") -> None:
        self._takes_several = type(pipeline).__name__ == "QwenImageEditPlusPipeline"
        super().__init__(pipeline, preset, device)
        references: frozenset[Ability] = frozenset({"references"})
        takes = self.preset.takes | references if self._takes_several else self.preset.takes - references
        self.preset = replace(self.preset, takes=takes)
        self._words: Recent[Tensor] = Recent(32)
        tell_pictures(pipeline.text_encoder)

    @classmethod
    def _load(cls, folder: Path, preset: Preset, device: torch.device | str) -> Any:
        import diffusers

        pipeline = load_pipeline(getattr(diffusers, pipeline_of(folder)), folder, preset, device, processor=None)
        pipeline.processor = PictureWords.from_folder(folder / "processor", pipeline.tokenizer)
        return pipeline

    @torch.inference_mode()
    def _embed(self, words: str, images: Sequence[Image.Image]) -> Tensor:
        """[tokens, width]."""
        words = plain(words)
        short_enough(len(self._pipeline.tokenizer(words).input_ids), WORDS)
        area = GLANCE if self._takes_several else MEGAPIXEL
        shown: Any = [_scaled(image, area) for image in images]
        embeds, _ = self._pipeline.encode_prompt(
            words, image=shown if self._takes_several else shown[0], device=self.device
        )
        result: Tensor = embeds[0]
        return result

    def condition(self, request: Request) -> LookingConditioning:
        """
        Raises:
            BadInput: ``prompt_too_long``.
        """
        stands = now(request)
        references = [*map(on_white, request.references)] if self._takes_several else []
        images = [as_image(stands), *references]
        shown = tuple(digest(np.asarray(image)) for image in images)
        prompt, negative = (
            self._words.get((words, shown), partial(self._embed, words, images))
            for words in (request.prompt, request.negative or NOTHING)
        )
        return LookingConditioning(prompt, negative, self._look(stands, references))

    def _brought(self, image: Image.Image) -> Image.Image:
        return _scaled(image, MEGAPIXEL)

    def _statistics(self, latents: Tensor) -> tuple[Tensor, Tensor]:
        config = self._vae.config
        mean, deviation = (
            torch.tensor(kept).to(latents).reshape(-1, 1, 1) for kept in (config.latents_mean, config.latents_std)
        )
        return mean, deviation

    def _vae_encode(self, picture: Tensor) -> Tensor:
        return super()._vae_encode(picture[:, :, None])[:, :, 0]

    def _vae_decode(self, latents: Tensor) -> Tensor:
        return super()._vae_decode(latents[:, :, None])[:, :, 0]

    def _is_guided(self, item: Item) -> bool:
        return item.guidance > 1

    def _guided(self, wanted: Tensor, avoided: Tensor, guidance: float) -> Tensor:
        """Guidance that turns each token and keeps its length."""
        mixed, kept = pack(super()._guided(wanted, avoided, guidance)[None]), pack(wanted[None])
        turned = mixed * (kept.norm(dim=-1, keepdim=True) / mixed.norm(dim=-1, keepdim=True))
        return unpack(turned, int(wanted.shape[-2]), int(wanted.shape[-1]))[0]

    def _velocities(self, rows: Sequence[Row]) -> list[Tensor]:
        (height, width), *seen = sizes(rows[0].item)
        given = self._words_of(rows)
        words = pad_sequence(given, batch_first=True)
        lengths = torch.tensor([len(one) for one in given], device=self.device)
        is_word = torch.arange(words.shape[1], device=self.device) < lengths[:, None]
        predicted = self._transformer(
            hidden_states=self._packed(rows),
            timestep=torch.tensor([row.item.sigma for row in rows], device=self.device),
            guidance=None,
            encoder_hidden_states=words,
            encoder_hidden_states_mask=None if bool(is_word.all()) else is_word,
            img_shapes=[[(1, h // 2, w // 2) for h, w in [(height, width), *seen]]] * len(rows),
            return_dict=False,
        )[0]
        return list(unpack(predicted[:, : height * width // 4].float(), height, width))


def _scaled(image: Image.Image, area: int) -> Image.Image:
    """The picture at about this area."""
    width = math.sqrt(area * image.width / image.height)
    size = (width, width * image.height / image.width)
    snapped = [max(SNAP, round(length / SNAP) * SNAP) for length in size]
    return image.resize((snapped[0], snapped[1]), Image.Resampling.LANCZOS)
