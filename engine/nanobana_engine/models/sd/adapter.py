"""The adapter of Stable Diffusion 1.5 and 2: edits at different noise levels share a call of the UNet.

A UNet of 4 channels sees the noisy picture alone and is held to the surroundings by the engine's soft mask; one of 9
is trained for inpainting and also sees the mask and the picture without what lies under it.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from nanobana.protocol.errors import BadInput
from nanobana.protocol.geometry import Box
from nanobana_engine.memory import Memory
from nanobana_engine.models.base import Component, Item, Move, Pixels, Preset, Request, Worn
from nanobana_engine.models.guests import placed
from nanobana_engine.models.loading import load_pipeline
from nanobana_engine.models.loras import Loras
from nanobana_engine.models.needs import needs_of
from nanobana_engine.models.partly import Coded
from nanobana_engine.models.projection import Projection
from nanobana_engine.models.recent import Recent, digest
from nanobana_engine.models.sd.conditioning import SdConditioning, asked_of, guidance_embedding
from nanobana_engine.models.sd.levels import Levels, suited
from nanobana_engine.models.sd.reader import Reader
from nanobana_engine.models.sd.rehearsal import GivenUp, rehearse
from nanobana_engine.models.sd.reuse import Reuse, kind_of
from nanobana_engine.models.sd.scene import scene_of
from nanobana_engine.models.vae.incremental import IncrementalVae
from nanobana_engine.models.vae.tiny import TinyVae

LEAST_STEPS = 3
FULL = 0.999
"""From this strength on nothing of what stood there is kept."""
REMEMBERED = 64
"""Prompts and pictures whose encodings are kept."""
UNGUIDED = 1.0
"""Up to this guidance the network is not asked about the negative prompt."""


class SdAdapter:
    """Wraps a loaded pipeline of diffusers, of which it uses the components, not the loop."""

    pipeline = "StableDiffusionInpaintPipeline"
    left_out: tuple[str, ...] = ("safety_checker", "feature_extractor", "image_encoder")
    """Components that are not loaded."""
    vae_overflows = False
    """In half precision."""

    def __init__(self, pipeline: Any, preset: Preset, device: torch.device | str = "cpu") -> None:
        self.preset = suited(preset, pipeline.scheduler)
        self.device = torch.device(device)
        self._pipeline = placed(pipeline, preset, self.device)
        self._unet = pipeline.unet.eval()
        self._vae = pipeline.vae.eval()
        if self.vae_overflows and self._vae.dtype == torch.float16:
            self._vae.to(torch.float32)
        self._levels = Levels(pipeline.scheduler.config, self.preset.sampler)
        self.loras = Loras(pipeline)
        self.coder = IncrementalVae(self._vae, preset.latent_stride, is_on=preset.encodes_parts)
        self._reuse = Reuse(self._unet, self.preset)
        self._encoded: Recent[Tensor] = Recent(REMEMBERED, "latents")
        self._project = Projection(lambda pixels: self._encode(pixels, keeps=False), preset.latent_stride)
        self._tiny: TinyVae | None = None
        self._memory: Memory | None = None
        self._readers = self._make_readers()
        self._words: Recent[tuple[Tensor, Tensor | None]] = Recent(REMEMBERED)

    def remember_in(self, memory: Memory) -> None:
        """Prompts, latents and passes of the networks are remembered there from now on."""
        self._memory = memory
        self.coder.remember_in(memory, self.preset.name)
        self._reuse.remember_in(memory)
        for recent in vars(self).values():
            if isinstance(recent, Recent):
                recent.remember_in(memory, self.preset.name)

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
        import diffusers

        parts: dict[str, Any] = dict.fromkeys(cls.left_out)
        if "safety_checker" in parts:
            parts["requires_safety_checker"] = False
        pipeline = load_pipeline(getattr(diffusers, cls.pipeline), folder, preset, device, **parts)
        cls._check(pipeline, folder)
        if few_step and preset.few_step:
            Loras(pipeline).merge(few_step, preset.few_step.weight)
        made = cls(pipeline, preset, device)
        if tiny_vae:
            like, channels = next(pipeline.vae.parameters()), int(pipeline.vae.config.latent_channels)
            made.use_tiny_vae(TinyVae.from_folder(tiny_vae, preset.latent_stride, channels, like))
        return made

    @classmethod
    def _check(cls, pipeline: Any, folder: Path) -> None:
        """Raises BadInput ``wrong_component``: parts that do not belong together."""
        unet, width = pipeline.unet.config, cls._width(pipeline)
        if unet.in_channels not in (4, 9):
            raise BadInput(
                f"The model in {folder} cannot be run: its unet takes {unet.in_channels} channels, not 4 or 9.",
                code="wrong_component",
            )
        if unet.cross_attention_dim != width:
            raise BadInput(
                f"The model in {folder} cannot be run: its unet was made for text embeddings of "
                f"{unet.cross_attention_dim} numbers, and its text encoder gives {width}.",
                code="wrong_component",
            )

    @staticmethod
    def _width(pipeline: Any) -> int:
        return int(pipeline.text_encoder.config.hidden_size)

    def _make_readers(self) -> list[Reader]:
        return [Reader(self._pipeline.tokenizer, self._pipeline.text_encoder.eval())]

    def components(self) -> list[Component]:
        names = ("text_encoder", "text_encoder_2", "unet", "vae")
        parts = [(name, part) for name in names if (part := getattr(self._pipeline, name, None)) is not None]
        tiny = [] if self._tiny is None else [("tiny_vae", self._tiny.net)]
        return [Component(name, part) for name, part in (*parts, *tiny)]

    @property
    def unet(self) -> Any:
        return self._unet

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
        pieces = max(reader.pieces(words) for reader in self._readers for words in (request.prompt, request.negative))
        prompt, pooled = self._embed(request.prompt, pieces, False, request.loras)
        negative, negative_pooled = self._embed(request.negative, pieces, True, request.loras)
        seen = self._seen(request) if self._sees_mask else None
        scene = None
        if self.preset.reuses and request.previous is None:  # what is refined is not what stands there
            scene = scene_of(request.room, request.pixels, request.mask, self.preset.latent_stride)
        return SdConditioning(prompt, negative, pooled, negative_pooled, seen, scene, request.loras)

    def _embed(
        self, words: str, pieces: int, is_negative: bool, loras: tuple[Worn, ...]
    ) -> tuple[Tensor, Tensor | None]:
        asked = (words, pieces, is_negative, loras)
        return self._words.get(asked, lambda: self._embed_words(*asked))

    @torch.inference_mode()
    def _embed_words(
        self,
        words: str,
        pieces: int,
        is_negative: bool,  # noqa: ARG002 - XL's
        loras: tuple[Worn, ...],
    ) -> tuple[Tensor, Tensor | None]:
        """[pieces x length, width], and what XL takes besides."""
        self.loras.wear(loras)
        return self._readers[0].read(words, pieces).tokens, None

    def _seen(self, request: Request) -> Tensor:
        """[5, h, w]: where D is a half or more the picture is gray to the network and its own to fill."""
        mask = (request.mask >= 0.5).astype(np.float32)
        kept = (request.pixels * (1.0 - mask[..., None]) + 0.5 * mask[..., None]).astype(np.float32)
        self.encode(request.pixels)  # first, so that of the other only what the mask covers is left to do
        latents = self._encoded.get(digest(kept), lambda: self._encode(kept, keeps=False))
        cells = F.max_pool2d(torch.from_numpy(mask)[None, None], self.preset.latent_stride)[0]
        return torch.cat([cells.to(latents), latents])

    def encode(self, pixels: Pixels) -> Tensor:
        """[H, W, 3] in 0..1 → [4, H/8, W/8] in float32, on the CPU; the newest pictures' are remembered."""
        return self._encoded.get(digest(pixels), lambda: self._encode(pixels))

    def prepare(self, request: Request, goes_on: Callable[[], bool]) -> None:
        """What stands there, encoded, and a pass of the decoder that the result will be decoded beside (E9)."""
        height, width = request.mask.shape
        if self._memory is not None and not self._memory.device.could_take(needs_of(self, width, height).most):
            return

        def check() -> None:
            if not goes_on():
                raise GivenUp

        with suppress(GivenUp):
            latents = self._encoded.get(digest(request.pixels), lambda: self._encode(request.pixels, check))
            self.coder.foresee_decode(self._unscaled(latents), check)

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

    def _encode(self, pixels: Pixels, check: Callable[[], None] = lambda: None, *, keeps: bool = True) -> Tensor:
        latents = self.coder.encode(pixels, check, keeps=keeps)
        shift, scale = self._latent_scale()
        scaled: Tensor = (latents - shift) * scale
        return scaled

    def _unscaled(self, latents: Tensor) -> Tensor:
        """As the autoencoder takes them."""
        shift, scale = self._latent_scale()
        return latents / scale.to(latents) + shift.to(latents)

    def _latent_scale(self) -> tuple[Tensor, Tensor]:
        """What the VAE's latents are shifted and scaled by, [4, 1, 1] or numbers."""
        config = self._vae.config
        mean, deviation = getattr(config, "latents_mean", None), getattr(config, "latents_std", None)
        if mean is None or deviation is None:
            return torch.tensor(0.0), torch.tensor(config.scaling_factor)
        return torch.tensor(mean)[:, None, None], config.scaling_factor / torch.tensor(deviation)[:, None, None]

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
        self._tiny = tiny

    def decode(self, latents: Tensor) -> Pixels:
        """[4, h, w] → [8h, 8w, 3] in 0..1."""
        if self._tiny is not None and self.preset.tiny_vae_results:
            return self._tiny.decode(latents)
        return self.coder.decode(self._unscaled(latents))

    def decode_part(self, latents: Tensor, box: Box, beneath: Pixels) -> Pixels:
        """The same inside a box, in pixels; elsewhere what lies beneath."""
        if self._tiny is not None and self.preset.tiny_vae_results:
            return self._tiny.decode_part(latents, box, beneath)
        return self.coder.decode_part(self._unscaled(latents), box, beneath)

    def take_coded(self) -> Coded:
        """What its autoencoder did in this thread since this was asked last."""
        return self.coder.take_coded()

    def preview(self, latents: Tensor) -> npt.NDArray[np.uint8]:
        """A pixel a cell, by a projection of the latents, and no network runs; or the tiny VAE's picture."""
        if self._tiny is not None:
            return np.asarray(np.rint(self._tiny.decode(latents) * 255.0), np.uint8)
        return self._project(latents)
