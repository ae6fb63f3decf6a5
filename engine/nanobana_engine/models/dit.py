"""What the adapters of diffusion transformers share: tokens of 2 × 2 latents, schedule, VAE, guidance, previews.

All of them are flow-matching models: x = (1 - sigma) x0 + sigma noise, and the network predicts the velocity, which is
noise - x0. Latents at the seam are [C, H/8, W/8], so that the soft mask is as fine as the VAE; they are packed here
into what a network sees.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nanobana.protocol.errors import BadInput
from nanobana_engine.memory import Memory
from nanobana_engine.models.base import Component, FlowSteps, Item, Pixels, Preset, Request
from nanobana_engine.models.catalogue import Catalogue
from nanobana_engine.models.folder import pipeline_of
from nanobana_engine.models.guests import placed
from nanobana_engine.models.loading import load_pipeline
from nanobana_engine.models.projection import Projection
from nanobana_engine.models.recent import Recent, digest

LEAST_STEPS = 3


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a network's call: an item with its prompt, or with what it should avoid."""

    item: Item
    avoids: bool = False


class DitAdapter(FlowSteps, ABC):
    """Wraps a loaded pipeline, of which it uses the components and the prompt's encoding, not the loop.

    A family says how its latents are scaled, what it is conditioned on and how the network is called.
    """

    family: ClassVar[str]
    """Its name in presets.toml."""
    pipeline: ClassVar[str] = ""
    """Class of diffusers that loads its folders; empty: the one that the folder names."""

    def __init__(self, pipeline: Any, preset: Preset | None = None, device: torch.device | str = "cpu") -> None:
        stride = int(pipeline.vae_scale_factor)
        facts = preset or Catalogue.read().defaults[self.family]
        self.preset = replace(facts, latent_stride=stride, multiple=math.lcm(facts.multiple, 2 * stride))
        self.device = torch.device(device)
        self._pipeline = placed(pipeline, facts, self.device)
        self._transformer = pipeline.transformer.eval()
        self._vae = pipeline.vae.eval()
        self._encoded: Recent[Tensor] = Recent(16, "latents")
        self._project = Projection(self._encode, stride)

    def remember_in(self, memory: Memory) -> None:
        """Prompts and latents are remembered there from now on."""
        for recent in vars(self).values():
            if isinstance(recent, Recent):
                recent.remember_in(memory, self.preset.name)

    @classmethod
    def from_folder(cls, folder: Path, preset: Preset, device: torch.device | str = "cpu") -> Self:
        """Load a folder in diffusers format that was checked; nothing is downloaded.

        Raises:
            NotFound: ``incomplete_model``.
        """
        return cls(cls._load(folder, preset, device), preset, device)

    @classmethod
    def _load(cls, folder: Path, preset: Preset, device: torch.device | str) -> Any:
        import diffusers

        return load_pipeline(getattr(diffusers, cls.pipeline or pipeline_of(folder)), folder, preset, device)

    def components(self) -> list[Component]:
        parts = self._pipeline.components
        names = [name for name in ("text_encoder", "text_encoder_2", "transformer", "vae") if name in parts]
        return [Component(name, parts[name]) for name in names]

    @abstractmethod
    def condition(self, request: Request) -> Any:
        """See `ModelAdapter`."""

    @abstractmethod
    def _velocities(self, rows: Sequence[Row]) -> list[Tensor]:
        """One call of the network: noise - x0 for every row, [C, h, w] in float32."""

    def _statistics(self, latents: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and deviation of the VAE's latents, for latents [1, C, h, w]: the network's are 0 and 1 on average."""
        config = self._vae.config
        return torch.tensor(config.shift_factor).to(latents), torch.tensor(1.0 / config.scaling_factor).to(latents)

    def _vae_encode(self, picture: Tensor) -> Tensor:
        """[1, 3, H, W] in -1..1 → the likeliest latents [1, C, h, w]; a sample of them would be noise to the eye."""
        latents: Tensor = self._vae.encode(picture).latent_dist.mode()
        return latents

    def _vae_decode(self, latents: Tensor) -> Tensor:
        picture: Tensor = self._vae.decode(latents, return_dict=False)[0]
        return picture

    def _is_guided(self, item: Item) -> bool:  # noqa: ARG002 - a family's choice
        """Whether an item needs a row for what it should avoid."""
        return False

    def _guided(self, wanted: Tensor, avoided: Tensor, guidance: float) -> Tensor:
        """Classifier-free guidance on velocities [C, h, w] (Ho and Salimans 2022)."""
        return avoided + guidance * (wanted - avoided)

    def _shift(self, tokens: int, steps: int) -> float:  # noqa: ARG002 - a family's choice
        """The schedule's mu for a picture of so many tokens: linear in them, between the ends that the folder gives."""
        given = self._pipeline.scheduler.config.get
        fewest, most = given("base_image_seq_len", 256), given("max_image_seq_len", 4096)
        low, high = given("base_shift", 0.5), given("max_shift", 1.15)
        return float(low + (tokens - fewest) * (high - low) / (most - fewest))

    def sigmas(self, steps: int, strength: float, size: tuple[int, int]) -> list[float]:
        """The folder's own schedule, shifted for `size` where it says so; for strength < 1 its end."""
        count = max(LEAST_STEPS, steps)
        whole = max(count, round(count / max(strength, 0.01)))
        side = 2 * self.preset.latent_stride
        mu = self._shift((size[0] // side) * (size[1] // side), whole)
        scheduler = deepcopy(self._pipeline.scheduler)
        scheduler.set_timesteps(sigmas=np.linspace(1.0, 1.0 / whole, whole).tolist(), mu=mu)
        return [float(sigma) for sigma in scheduler.sigmas[-(count + 1) :]]

    def encode(self, pixels: Pixels) -> Tensor:
        """[H, W, 3] in 0..1 → [C, H/8, W/8] in float32, on the CPU; the newest pictures' are remembered."""
        return self._encoded.get(digest(pixels), partial(self._encode, pixels))

    @torch.inference_mode()
    def _encode(self, pixels: Pixels) -> Tensor:
        picture = torch.from_numpy(np.ascontiguousarray(pixels)).permute(2, 0, 1)[None] * 2.0 - 1.0
        latents = self._vae_encode(picture.to(self.device, self._vae.dtype))
        mean, deviation = self._statistics(latents)
        return ((latents - mean) / deviation)[0].float().cpu()

    @torch.inference_mode()
    def decode(self, latents: Tensor) -> Pixels:
        """[C, h, w] → [8h, 8w, 3] in 0..1."""
        latents = latents[None].to(self.device, self._vae.dtype)
        mean, deviation = self._statistics(latents)
        picture = self._vae_decode(latents * deviation + mean)[0].float()
        pixels: Pixels = (picture / 2 + 0.5).clamp(0, 1).permute(1, 2, 0).contiguous().cpu().numpy()
        return pixels

    def preview(self, latents: Tensor) -> npt.NDArray[np.uint8]:
        """One pixel a latent cell, [h, w, 3]; no network runs for it."""
        return self._project(latents)

    def call_key(self, item: Item) -> tuple[object, ...]:
        """Position ids are one call's, not one item's: pictures of one size share a call."""
        return (self.preset.family, *item.latents.shape)

    def cost(self, item: Item) -> float:
        """Tokens in native pictures, twice with guidance."""
        native = (self.preset.native // (2 * self.preset.latent_stride)) ** 2
        return self._tokens(item) / native * (2.0 if self._is_guided(item) else 1.0)

    def _tokens(self, item: Item) -> int:
        """Tokens of pictures in an item's row."""
        return int(item.latents.shape[-2] * item.latents.shape[-1]) // 4

    @torch.inference_mode()
    def denoise(self, items: Sequence[Item]) -> list[Tensor]:
        """One call for all items and, where one has guidance, for what it should avoid too."""
        guided = [item for item in items if self._is_guided(item)]
        velocities = self._velocities([*(Row(item) for item in items), *(Row(item, avoids=True) for item in guided)])
        avoided = dict(zip(map(id, guided), velocities[len(items) :], strict=True))
        clean = []
        for item, velocity in zip(items, velocities, strict=False):
            if id(item) in avoided:
                velocity = self._guided(velocity, avoided[id(item)], item.guidance)
            clean.append(item.latents - item.sigma * velocity.to(item.latents))
        return clean


def pack(latents: Tensor) -> Tensor:
    """[B, C, h, w] → tokens of 2 × 2 cells, [B, h/2 · w/2, 4C]."""
    batch, channels, height, width = latents.shape
    cells = latents.reshape(batch, channels, height // 2, 2, width // 2, 2).permute(0, 2, 4, 1, 3, 5)
    return cells.reshape(batch, (height // 2) * (width // 2), channels * 4)


def unpack(tokens: Tensor, height: int, width: int) -> Tensor:
    """The inverse of `pack`, for latents of this height and width."""
    batch, _, channels = tokens.shape
    cells = tokens.reshape(batch, height // 2, width // 2, channels // 4, 2, 2).permute(0, 3, 1, 4, 2, 5)
    return cells.reshape(batch, channels // 4, height, width)


def places(height: int, width: int, *, axes: int, time: float = 0.0) -> Tensor:
    """Position ids of the tokens of latents of this height and width, [h/2 · w/2, axes]: time, row, column, 0 …"""
    ids = torch.zeros((height // 2, width // 2, axes))
    ids[..., 0] = time
    ids[..., 1] = torch.arange(height // 2)[:, None]
    ids[..., 2] = torch.arange(width // 2)[None, :]
    return ids.reshape(-1, axes)


def said(tokenizer: Any, words: str, *, thinking: bool) -> int:
    """Tokens of a prompt in a chat's template, which is how Qwen 3 is asked for embeddings."""
    chat = tokenizer.apply_chat_template(
        [{"role": "user", "content": words}], tokenize=False, add_generation_prompt=True, enable_thinking=thinking
    )
    return len(tokenizer(chat).input_ids)


def short_enough(count: int, most: int) -> None:
    """
    Args:
        count: tokens of a prompt.
        most: tokens that the encoder is given; pipelines cut the rest off without a word.

    Raises:
        BadInput: ``prompt_too_long``.
    """
    if count > most:
        raise BadInput(
            f"The prompt is too long for this model: {count} tokens, and it reads {most}. Shorten it.",
            code="prompt_too_long",
        )
