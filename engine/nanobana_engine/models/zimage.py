"""The adapter of Z-Image and Z-Image-Turbo: edits of different sizes, prompts and noise levels share one call.

The transformer takes a list of pictures, so nothing is padded to a common size here. Conventions of the family, as
diffusers' `ZImagePipeline` has them: its time is 1 - sigma, its output is the negative velocity (x = (1 - sigma) x0 +
sigma noise, velocity = noise - x0), guidance g adds g times what the prompt changes, and 0 switches it off.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from nanobana.protocol.errors import BadInput
from nanobana_engine.models.base import Component, FlowSteps, Item, Pixels, Preset, Request
from nanobana_engine.models.catalogue import Catalogue
from nanobana_engine.models.loading import load_pipeline

LEAST_STEPS = 3
WORDS = 512
"""Tokens of a prompt that the text encoder is given, its chat template included."""
PREVIEW_CELLS = 32
"""Latent cells of a preview's longest side: decoding 32 costs 1/16 of a native picture."""


@dataclass(frozen=True, slots=True)
class ZImageConditioning:
    """Embeddings of a prompt and of what to avoid, [tokens, width] each."""

    prompt: Tensor
    negative: Tensor


class ZImageAdapter(FlowSteps):
    """Wraps a loaded `ZImagePipeline`, of which it uses the components and the prompt encoding, not the loop."""

    def __init__(self, pipeline: Any, device: torch.device | str = "cpu", preset: Preset | None = None) -> None:
        self.preset = preset or Catalogue.read().defaults["z-image"]
        self._device = torch.device(device)
        self._pipeline = pipeline.to(self._device)
        self._transformer = pipeline.transformer.eval()
        self._vae = pipeline.vae.eval()
        self._embed = lru_cache(maxsize=256)(self._embed_words)

    @classmethod
    def from_folder(cls, folder: Path, preset: Preset, device: torch.device | str = "cpu") -> ZImageAdapter:
        """Load a folder in diffusers format that was checked; nothing is downloaded.

        Raises:
            NotFound: ``incomplete_model``.
        """
        from diffusers import ZImagePipeline

        return cls(load_pipeline(ZImagePipeline, folder, preset, device), device, preset)

    def components(self) -> list[Component]:
        parts = {"text_encoder": self._pipeline.text_encoder, "transformer": self._transformer, "vae": self._vae}
        return [Component(name, module) for name, module in parts.items()]

    @torch.inference_mode()
    def _embed_words(self, words: str) -> Tensor:
        """[tokens, width].

        Raises:
            BadInput: ``prompt_too_long``; the pipeline itself would cut the end off without a word.
        """
        tokenizer = self._pipeline.tokenizer
        said = tokenizer.apply_chat_template(
            [{"role": "user", "content": words}], tokenize=False, add_generation_prompt=True, enable_thinking=True
        )
        count = len(tokenizer(said).input_ids)
        if count > WORDS:
            raise BadInput(
                f"The prompt is too long for this model: {count} tokens, and it reads {WORDS}. Shorten it.",
                code="prompt_too_long",
            )
        embeds, _ = self._pipeline.encode_prompt(words, device=self._device, do_classifier_free_guidance=False)
        result: Tensor = embeds[0]
        return result

    def condition(self, request: Request) -> ZImageConditioning:
        """Both prompts, each encoded once while it is remembered.

        Raises:
            BadInput: ``prompt_too_long``.
        """
        return ZImageConditioning(self._embed(request.prompt), self._embed(request.negative))

    @torch.inference_mode()
    def encode(self, pixels: Pixels) -> Tensor:
        """[H, W, 3] in 0..1 → [16, H/8, W/8] in float32, on the CPU."""
        picture = torch.from_numpy(np.ascontiguousarray(pixels)).permute(2, 0, 1)[None] * 2.0 - 1.0
        latents = self._vae.encode(picture.to(self._device, self._vae.dtype)).latent_dist.mode()
        scaled: Tensor = (latents - self._vae.config.shift_factor) * self._vae.config.scaling_factor
        return scaled[0].float().cpu()

    def sigmas(self, steps: int, strength: float, size: tuple[int, int]) -> list[float]:
        """The folder's own schedule, shifted for `size` where it says so; for strength < 1 its end, >= 3 steps."""
        count = max(LEAST_STEPS, round(steps * strength))
        whole = max(count, round(count / max(strength, 0.01)))
        scheduler = deepcopy(self._pipeline.scheduler)
        scheduler.set_timesteps(sigmas=np.linspace(1.0, 1.0 / whole, whole).tolist(), mu=_shift(scheduler, size))
        return [float(sigma) for sigma in scheduler.sigmas[-(count + 1) :]]

    def call_key(self, item: Item) -> tuple[object, ...]:  # noqa: ARG002 - the seam's
        """Everything shares a call."""
        return (self.preset.family,)

    def cost(self, item: Item) -> float:
        """Area in native pictures, twice with guidance."""
        cells = (self.preset.native // self.preset.latent_stride) ** 2
        area = item.latents.shape[-2] * item.latents.shape[-1] / cells
        return float(area * (2.0 if item.guidance > 0 else 1.0))

    @torch.inference_mode()
    def denoise(self, items: Sequence[Item]) -> list[Tensor]:
        """One call for all items and, where one has guidance, for its negative prompt too."""
        guided = [n for n, item in enumerate(items) if item.guidance > 0]
        rows = [*range(len(items)), *guided]
        dtype = self._transformer.dtype
        words = [item.conditioning.prompt for item in items] + [items[n].conditioning.negative for n in guided]
        predicted = self._transformer(
            [items[n].latents.to(self._device, dtype)[:, None] for n in rows],
            torch.tensor([1.0 - items[n].sigma for n in rows], device=self._device),
            [embedding.to(self._device, dtype) for embedding in words],
            return_dict=False,
        )[0]
        outputs = [output[:, 0].float() for output in predicted]
        for place, n in enumerate(guided):
            outputs[n] = outputs[n] + items[n].guidance * (outputs[n] - outputs[len(items) + place])
        return [
            item.latents + item.sigma * output.to(item.latents) for item, output in zip(items, outputs, strict=False)
        ]

    @torch.inference_mode()
    def decode(self, latents: Tensor) -> Pixels:
        """[16, h, w] → [8h, 8w, 3] in 0..1."""
        vae = self._vae
        scaled = latents[None].to(self._device, vae.dtype) / vae.config.scaling_factor + vae.config.shift_factor
        picture = vae.decode(scaled, return_dict=False)[0][0].float()
        pixels: Pixels = (picture / 2 + 0.5).clamp(0, 1).permute(1, 2, 0).contiguous().cpu().numpy()
        return pixels

    def preview(self, latents: Tensor) -> npt.NDArray[np.uint8]:
        """The latents averaged to at most PREVIEW_CELLS a side, decoded."""
        shrink = min(1.0, PREVIEW_CELLS / max(latents.shape[-2:]))
        size = [max(1, round(side * shrink)) for side in latents.shape[-2:]]
        small = F.interpolate(latents[None], size, mode="area")[0]
        picture: npt.NDArray[np.uint8] = np.rint(self.decode(small) * 255.0).astype(np.uint8)
        return picture


def _shift(scheduler: Any, size: tuple[int, int]) -> float:
    """The schedule's shift for a picture of width and height in pixels: linear in its tokens of 16 × 16."""
    given = scheduler.config.get
    fewest, most = given("base_image_seq_len", 256), given("max_image_seq_len", 4096)
    low, high = given("base_shift", 0.5), given("max_shift", 1.15)
    tokens = (size[0] // 16) * (size[1] // 16)
    return float(low + (tokens - fewest) * (high - low) / (most - fewest))
