"""Pixels to latents and back: a Stable Diffusion's autoencoder, what it made lately, and previews without it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nanobana_engine.memory import Memory
from nanobana_engine.models.base import Pixels, Preset
from nanobana_engine.models.partly import Cells
from nanobana_engine.models.projection import Projection
from nanobana_engine.models.recent import Recent, digest
from nanobana_engine.models.vae.incremental import IncrementalVae
from nanobana_engine.models.vae.tiny import TinyVae

REMEMBERED = 64
"""Pictures whose latents are kept."""


class Latents:
    """Latents are as the denoising network takes them: [4, H/8, W/8] in float32, on the CPU."""

    def __init__(self, vae: Any, preset: Preset) -> None:
        self._vae = vae
        self._preset = preset
        self.coder = IncrementalVae(vae, preset.latent_stride, is_on=preset.encodes_parts)
        self.tiny: TinyVae | None = None
        """For previews, and for results where the preset says so."""
        self._encoded: Recent[Tensor] = Recent(REMEMBERED, "latents")
        self._project = Projection(lambda pixels: self._encode(pixels, keeps=False), preset.latent_stride)

    def remember_in(self, memory: Memory) -> None:
        """Latents and passes of the autoencoder are remembered there from now on."""
        self.coder.remember_in(memory, self._preset.name)
        self._encoded.remember_in(memory, self._preset.name)

    def of(self, pixels: Pixels, check: Callable[[], None] = lambda: None, *, keeps: bool = True) -> Tensor:
        """The newest pictures' are remembered.

        Args:
            check: called between the network's layers; what it raises ends the pass.
            keeps: whether later pictures are encoded beside this one's pass (E9).
        """
        return self._encoded.get(digest(pixels), lambda: self._encode(pixels, check, keeps=keeps))

    def _encode(self, pixels: Pixels, check: Callable[[], None] = lambda: None, *, keeps: bool = True) -> Tensor:
        latents = self.coder.encode(pixels, check, keeps=keeps)
        shift, scale = self._shift_and_scale()
        scaled: Tensor = (latents - shift) * scale
        return scaled

    def foresee_decode(self, latents: Tensor, check: Callable[[], None]) -> None:
        """A pass of the decoder that a result will be decoded beside (E9)."""
        self.coder.foresee_decode(self._unscaled(latents), check)

    def decode(self, latents: Tensor) -> Pixels:
        if self.tiny is not None and self._preset.tiny_vae_results:
            return self.tiny.decode(latents)
        return self.coder.decode(self._unscaled(latents))

    def decode_part(self, latents: Tensor, wanted: Cells, beneath: Pixels) -> Pixels:
        """The same of some cells, [h, w]; elsewhere what lies beneath."""
        if self.tiny is not None and self._preset.tiny_vae_results:
            return self.tiny.decode_part(latents, wanted, beneath)
        return self.coder.decode_part(self._unscaled(latents), wanted, beneath)

    def preview(self, latents: Tensor) -> npt.NDArray[np.uint8]:
        """A pixel a cell, by a projection of the latents, and no network runs; or the tiny VAE's picture."""
        if self.tiny is not None:
            return np.asarray(np.rint(self.tiny.decode(latents) * 255.0), np.uint8)
        return self._project(latents)

    def _unscaled(self, latents: Tensor) -> Tensor:
        """As the autoencoder takes them."""
        shift, scale = self._shift_and_scale()
        return latents / scale.to(latents) + shift.to(latents)

    def _shift_and_scale(self) -> tuple[Tensor, Tensor]:
        """What the autoencoder's latents are shifted and scaled by, [4, 1, 1] or numbers."""
        config = self._vae.config
        mean, deviation = getattr(config, "latents_mean", None), getattr(config, "latents_std", None)
        if mean is None or deviation is None:
            return torch.tensor(0.0), torch.tensor(config.scaling_factor)
        return torch.tensor(mean)[:, None, None], config.scaling_factor / torch.tensor(deviation)[:, None, None]
