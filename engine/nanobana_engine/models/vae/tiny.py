"""A small autoencoder of the same latents: previews that are pictures, and results where a preset settles for them.

It has no normalisation and no attention, so a part needs no more than a margin of its own latents.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nanobana.protocol.errors import BadInput, NotFound
from nanobana_engine.models.base import Pixels
from nanobana_engine.models.partly import Cells
from nanobana_engine.models.vae.parts import finer

MARGIN = 8
"""Latent cells around a part: with them it is that part of the whole within 1e-5."""


class TinyVae:
    """Decodes latents as the UNet has them.

    Args:
        net: an `AutoencoderTiny` of diffusers, on the device where it is to run.
        stride: pixels along a side of a latent cell.
    """

    def __init__(self, net: Any, stride: int) -> None:
        self.net = net.eval()
        self._stride = stride

    @classmethod
    def from_folder(cls, folder: Path, stride: int, channels: int, like: Tensor) -> TinyVae:
        """Load one.

        Args:
            channels: of the latents that it must know.
            like: a weight of the large one: where and as what it runs.

        Raises:
            NotFound: ``incomplete_model``: there is none in the folder, or it is damaged.
            BadInput: ``wrong_component``: it is of other latents.
        """
        from diffusers import AutoencoderTiny

        try:
            net = AutoencoderTiny.from_pretrained(str(folder), use_safetensors=True, local_files_only=True)
        except (OSError, ValueError, RuntimeError) as error:
            raise NotFound(
                f"The tiny VAE in {folder} cannot be loaded: it needs a config.json and weights of an AutoencoderTiny. "
                f"({error})",
                code="incomplete_model",
            ) from error
        if net.config.latent_channels != channels:
            raise BadInput(
                f"The tiny VAE in {folder} is of latents with {net.config.latent_channels} channels, and the model's "
                f"have {channels}.",
                code="wrong_component",
            )
        return cls(net.to(like.device, like.dtype), stride)

    @torch.inference_mode()
    def decode(self, latents: Tensor) -> Pixels:
        """[c, h, w] → [H, W, 3] in 0..1."""
        weight = next(self.net.parameters())
        scaled = latents[None].to(weight) / self.net.config.scaling_factor
        picture = self.net.decode(scaled, return_dict=False)[0][0].float()
        pixels: Pixels = (picture / 2 + 0.5).clamp(0, 1).permute(1, 2, 0).contiguous().cpu().numpy()
        return pixels

    def decode_part(self, latents: Tensor, wanted: Cells, beneath: Pixels) -> Pixels:
        """The picture in some cells, [h, w], and what lies beneath it elsewhere."""
        out = np.array(beneath)
        if wanted.any():
            around = tuple(
                slice(max(0, int(held[0]) - MARGIN), int(held[-1]) + 1 + MARGIN)
                for held in (np.flatnonzero(wanted.any(axis=axis)) for axis in (1, 0))
            )
            within = tuple(slice(each.start * self._stride, each.stop * self._stride) for each in around)
            where = finer(wanted[around], self._stride)
            out[within][where] = self.decode(latents[(slice(None), *around)])[where]
        return out
