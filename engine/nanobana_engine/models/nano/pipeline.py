"""nano as a diffusers pipeline: the plain loop of one edit, and the baseline that the engine is measured against."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from diffusers import DiffusionPipeline, FlowMatchEulerDiscreteScheduler, UNet2DConditionModel
from diffusers.utils import BaseOutput
from PIL import Image
from transformers import CLIPTextModel, PreTrainedTokenizerFast

from nanobana_engine.assets.pack import AssetPack
from nanobana_engine.models.base import Item, Request
from nanobana_engine.models.nano.adapter import NanoAdapter
from nanobana_engine.models.nano.folder import Parts


class NanoOutput(BaseOutput):
    """`images`: one picture, PIL or an array [H, W, 3] in 0..1."""

    images: list[Any]


class NanoInpaintPipeline(DiffusionPipeline):
    """Load it with `NanoInpaintPipeline.from_pretrained(folder)`; the folder is nano's `weights`.

    At every step it calls the whole UNet, as diffusers' own pipelines do.
    """

    def __init__(
        self,
        unet: UNet2DConditionModel,
        text_encoder: CLIPTextModel,
        tokenizer: PreTrainedTokenizerFast,
        scheduler: FlowMatchEulerDiscreteScheduler,
    ) -> None:
        super().__init__()
        self.register_modules(unet=unet, text_encoder=text_encoder, tokenizer=tokenizer, scheduler=scheduler)
        self._adapter: NanoAdapter | None = None

    @property
    def adapter(self) -> NanoAdapter:
        if self._adapter is None:
            parts = Parts(self.unet.float().eval(), self.text_encoder.float().eval(), self.tokenizer, {})
            self._adapter = NanoAdapter(parts, AssetPack(), self.device, keeps_constants=False)
        return self._adapter

    @torch.no_grad()
    def __call__(
        self,
        prompt: str,
        image: Image.Image,
        mask_image: Image.Image,
        num_inference_steps: int = 4,
        seed: int = 0,
        output_type: str = "pil",
    ) -> NanoOutput:
        """Fills the white part of `mask_image`; sides are cut to multiples of 16. Outside the mask nothing changes."""
        width, height = (side // 16 * 16 for side in image.size)
        pixels = np.asarray(image.convert("RGB"), np.float32)[:height, :width] / np.float32(255)
        mask = np.asarray(mask_image.convert("L"), np.float32)[:height, :width] / np.float32(255)
        request = Request(pixels=pixels, mask=mask, user_mask=mask, prompt=prompt, seed=seed)
        conditioning = self.adapter.condition(request)
        sigmas = self.adapter.sigmas(num_inference_steps, 1.0, (height, width))
        self.scheduler.set_timesteps(sigmas=sigmas[:-1])
        state = torch.randn(self.adapter.encode(pixels).shape, generator=torch.Generator().manual_seed(seed))
        for timestep, sigma in zip(self.scheduler.timesteps, sigmas[:-1], strict=True):
            clean = self.adapter.denoise([Item(latents=state, sigma=sigma, conditioning=conditioning)])[0]
            velocity = (state - clean) / sigma
            state = self.scheduler.step(velocity, timestep, state, return_dict=False)[0]
        filled = self.adapter.decode(state)
        result = pixels + (filled - pixels) * mask[..., None]
        if output_type == "np":
            return NanoOutput(images=[result])
        return NanoOutput(images=[Image.fromarray(np.round(result * 255).astype(np.uint8))])
