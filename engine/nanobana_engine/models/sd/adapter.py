"""The adapter of Stable Diffusion 1.5 and 2: edits at different noise levels share a call of the UNet.

A UNet of 4 channels sees the noisy picture alone and is held to the surroundings by the engine's soft mask; one of 9
is trained for inpainting and also sees the mask and the picture without what lies under it.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nanobana_engine.memory import Memory
from nanobana_engine.models.base import Component, Item, Move, Pixels, Preset, Request
from nanobana_engine.models.guests import placed
from nanobana_engine.models.loras import Loras
from nanobana_engine.models.partly import Cells, Coded
from nanobana_engine.models.sd.conditioning import SdConditioning, asked_of, guidance_embedding, seen_of
from nanobana_engine.models.sd.folder import pipeline_in, tiny_vae_in
from nanobana_engine.models.sd.latents import Latents
from nanobana_engine.models.sd.levels import Levels, suited
from nanobana_engine.models.sd.prompts import Prompts
from nanobana_engine.models.sd.rehearsal import prepare, rehearse
from nanobana_engine.models.sd.reuse import Reuse, kind_of
from nanobana_engine.models.sd.scene import scene_of
from nanobana_engine.models.vae.incremental import IncrementalVae
from nanobana_engine.models.vae.tiny import TinyVae

LEAST_STEPS = 3
FULL = 0.999
"""From this strength on nothing of what stood there is kept."""
UNGUIDED = 1.0
"""Up to this guidance the network is not asked about the negative prompt."""


class SdAdapter:
    """Wraps a loaded pipeline of diffusers, of which it uses the components, not the loop."""

    pipeline = "StableDiffusionInpaintPipeline"
    left_out: tuple[str, ...] = ("safety_checker", "feature_extractor", "image_encoder")
    """Components that are not loaded."""
    prompts: type[Prompts] = Prompts
    vae_overflows = False
    """In half precision."""

    prepares_briefly = False

    def __init__(self, pipeline: Any, preset: Preset, device: torch.device | str = "cpu") -> None:
        self.preset = suited(preset, pipeline.scheduler)
        self.device = torch.device(device)
        self._pipeline = placed(pipeline, preset, self.device)
        self._unet = pipeline.unet.eval()
        vae = pipeline.vae.eval()
        if self.vae_overflows and vae.dtype == torch.float16:
            vae.to(torch.float32)
        self._levels = Levels(pipeline.scheduler.config, self.preset.sampler)
        self.loras = Loras(pipeline)
        self._words = self.prompts(pipeline, self.loras)
        self._latents = Latents(vae, preset)
        self._reuse = Reuse(self._unet, self.preset)
        self._memory: Memory | None = None

    def remember_in(self, memory: Memory) -> None:
        """Prompts, latents and passes of the networks are remembered there from now on."""
        self._memory = memory
        self._words.remember_in(memory, self.preset.name)
        self._latents.remember_in(memory)
        self._reuse.remember_in(memory)

    @classmethod
    def from_folder(
        cls,
        folder: Path,
        preset: Preset,
        device: torch.device | str = "cpu",
        few_step: Path | None = None,
        tiny_vae: Path | None = None,
    ) -> SdAdapter:
        """Load a folder in diffusers format that was checked; nothing is downloaded.

        Args:
            few_step: the file of `preset.few_step`, merged into the weights.
            tiny_vae: the folder of `preset.tiny_vae`.

        Raises:
            NotFound: ``incomplete_model``.
            BadInput: ``wrong_component``, ``bad_lora``, ``wrong_lora``.
        """
        pipeline = pipeline_in(
            folder, cls.pipeline, preset, device, few_step, left_out=cls.left_out, width=cls.prompts.width
        )
        made = cls(pipeline, preset, device)
        if tiny_vae:
            made.use_tiny_vae(tiny_vae_in(tiny_vae, preset, pipeline.vae))
        return made

    def components(self) -> list[Component]:
        names = ("text_encoder", "text_encoder_2", "unet", "vae")
        parts = [(name, part) for name in names if (part := getattr(self._pipeline, name, None)) is not None]
        tiny = [] if self._latents.tiny is None else [("tiny_vae", self._latents.tiny.net)]
        return [Component(name, part) for name, part in (*parts, *tiny)]

    @property
    def unet(self) -> Any:
        return self._unet

    @property
    def coder(self) -> IncrementalVae:
        return self._latents.coder

    @property
    def computed_cells(self) -> int:
        """In sparse passes so far."""
        return self._reuse.computed

    @property
    def _sees_mask(self) -> bool:
        return bool(self._unet.config.in_channels == 9)

    def condition(self, request: Request) -> SdConditioning:
        """Both prompts, each encoded once while it is remembered; for 9 channels the masked picture.

        Raises:
            BadInput: ``prompt_too_long``, ``bad_weight``, ``bad_lora``, ``wrong_lora``.
        """
        pieces = self._words.pieces(request.prompt, request.negative)
        prompt, pooled = self._words.embed(request.prompt, pieces, False, request.loras)
        negative, negative_pooled = self._words.embed(request.negative, pieces, True, request.loras)
        seen = seen_of(request, self._latents, self.preset.latent_stride) if self._sees_mask else None
        scene = None
        if self.preset.reuses and request.previous is None:  # what is refined is not what stands there
            scene = scene_of(request.room, request.pixels, request.mask, self.preset.latent_stride)
        return SdConditioning(prompt, negative, pooled, negative_pooled, seen, scene, request.loras)

    def encode(self, pixels: Pixels) -> Tensor:
        """[H, W, 3] in 0..1 → [4, H/8, W/8] in float32, on the CPU; the newest pictures' are remembered."""
        return self._latents.of(pixels)

    def prepare(self, request: Request, goes_on: Callable[[], bool]) -> None:
        """What stands there, encoded, and a pass of the decoder that the result will be decoded beside (E9)."""
        prepare(self, self._latents, request, goes_on)

    def rehearse(
        self, request: Request, steps: int, draw: Callable[[int], Tensor], goes_on: Callable[[], bool]
    ) -> Iterator[None]:
        """A pass over what stands there, recorded, a noise level at a time (E9)."""
        return rehearse(self, request, steps=steps, draw=draw, goes_on=goes_on)

    def would_record(self, item: Item, levels: int) -> bool:
        """Whether a call for this would be recorded, beside as many levels of it as there are, and is not yet."""
        asked = [is_negative for is_negative in (False, True) if not is_negative or self._is_guided(item)]
        kinds = [self._kind(item, is_negative=is_negative) for is_negative in asked]
        return self._reuse.would_record(item.conditioning.scene, kinds, levels)

    @property
    def memory(self) -> Memory | None:
        """The books of the engine that it is in."""
        return self._memory

    def begin(self, request: Request, known: Tensor, noise: Tensor, sigma: float) -> Tensor:
        """Noise alone for a whole fill with 9 channels, over the prefill with 4; else over what stands there."""
        if request.previous is not None:
            known = self.encode(request.previous)
        elif request.strength >= FULL:
            if self._sees_mask:
                return self._levels.pure(noise, sigma)
            known = self.encode(request.prefilled)
        return (1.0 - sigma) * known + sigma * noise

    def step(self, move: Move) -> Tensor:
        return self._levels.step(move)

    def sigmas(self, steps: int, strength: float, size: tuple[int, int]) -> list[float]:  # noqa: ARG002 - the seam's
        """The sampler's levels; for strength < 1 the end of a longer run."""
        count = max(LEAST_STEPS, steps)
        whole = min(max(count, round(count / max(strength, 0.01))), max(count, self._levels.most))
        return self._levels.sigmas(whole, whole - count)

    def call_key(self, item: Item) -> tuple[object, ...]:
        """Pictures with the same LoRAs; without reuse of one size, whose prompts take as many tokens, too."""
        given = item.conditioning
        if self.preset.reuses:
            return (self.preset.name, given.loras)
        return (self.preset.name, *item.latents.shape[-2:], len(given.prompt), given.loras)

    def cost(self, item: Item) -> float:
        """Area in native pictures, as far as it would be computed now, twice with guidance."""
        cells = (self.preset.native / self.preset.latent_stride) ** 2
        area = item.latents.shape[-2] * item.latents.shape[-1] / cells
        share = self._reuse.share(item.conditioning.scene, self._kind(item))
        return float(area * share * (2.0 if self._is_guided(item) else 1.0))

    @torch.inference_mode()
    def denoise(self, items: Sequence[Item]) -> list[Tensor]:
        """One call for all items and, where some have guidance, for their negative prompts too; with reuse one for
        those that are run sparse, and one for each size and length of prompt of the others."""
        guided = [n for n, item in enumerate(items) if self._is_guided(item)]
        self.loras.wear(items[0].conditioning.loras)
        told = self._added(items, guided)
        embedded = guidance_embedding(self._pipeline, [item.guidance for item in [*items, *(items[n] for n in guided)]])
        asked = asked_of(items, guided, self._unet, self._levels, self._reuse.prompt, told=told, embedded=embedded)
        answers = self._reuse.run(asked)
        outputs = [answer.output.float().cpu() for answer in answers]
        for item, answer in zip(items, answers, strict=False):
            item.computed = answer.computed
        for place, n in enumerate(guided):
            without = outputs[len(items) + place]
            outputs[n] = without + items[n].guidance * (outputs[n] - without)
            items[n].computed = (items[n].computed + answers[len(items) + place].computed) / 2
        return [
            self._levels.clean(item.latents, output.to(item.latents), item.sigma)
            for item, output in zip(items, outputs, strict=False)
        ]

    def _added(self, items: Sequence[Item], guided: Sequence[int]) -> dict[str, Tensor] | None:  # noqa: ARG002 - XL's
        return None

    @staticmethod
    def _kind(item: Item, *, is_negative: bool = False) -> Hashable:
        """What a recorded pass must have in common with it."""
        given: SdConditioning = item.conditioning
        channels = item.latents.shape[0] + (0 if given.seen is None else len(given.seen))
        return kind_of((channels, *item.latents.shape[1:]), item.sigma, is_negative=is_negative, loras=given.loras)

    def _is_guided(self, item: Item) -> bool:
        return item.guidance > UNGUIDED and self._unet.config.time_cond_proj_dim is None

    def use_tiny_vae(self, tiny: TinyVae) -> None:
        """For previews, and for results where the preset says so."""
        self._latents.tiny = tiny

    def decode(self, latents: Tensor) -> Pixels:
        """[4, h, w] → [8h, 8w, 3] in 0..1."""
        return self._latents.decode(latents)

    def decode_part(self, latents: Tensor, wanted: Cells, beneath: Pixels) -> Pixels:
        """The same of some cells, [h, w]; elsewhere what lies beneath."""
        return self._latents.decode_part(latents, wanted, beneath)

    def take_coded(self) -> Coded:
        """What its autoencoder did in this thread since this was asked last."""
        return self.coder.take_coded()

    def preview(self, latents: Tensor) -> npt.NDArray[np.uint8]:
        """A pixel a cell, or the tiny VAE's picture."""
        return self._latents.preview(latents)
