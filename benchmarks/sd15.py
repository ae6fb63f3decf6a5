"""Stable Diffusion 1.5 inpainting at random weights: what a call costs does not depend on their values.

The UNet answers with a clean picture that is nearly flat, in the mean of what the VAE makes of a photograph. Noise,
which random weights would answer, is like no picture: the VAE's statistics would rightly be taken anew for it.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from pictures import grainy_photo
from PIL import Image

SIDE = 512
LEVELS = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "prediction_type": "sample"}


def pipeline() -> Any:
    """A `StableDiffusionInpaintPipeline` of that architecture; its text encoder is small."""
    from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionInpaintPipeline, UNet2DConditionModel

    from support.tiny import clip_encoder, clip_tokenizer

    torch.manual_seed(0)
    unet = UNet2DConditionModel(in_channels=9, cross_attention_dim=768, attention_head_dim=8, sample_size=64).eval()
    vae = AutoencoderKL(
        block_out_channels=(128, 256, 512, 512), down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4, latent_channels=4, layers_per_block=2,
    ).eval()  # fmt: skip
    with torch.no_grad():
        photo = torch.from_numpy(grainy_photo(64)).permute(2, 0, 1)[None] / 127.5 - 1.0
        latents = vae.encode(photo).latent_dist.mode() * vae.config.scaling_factor
        unet.conv_out.weight.mul_(0.02)
        unet.conv_out.bias.copy_(latents.mean(dim=(0, 2, 3)))
    made = StableDiffusionInpaintPipeline(
        vae=vae, text_encoder=clip_encoder(768), tokenizer=clip_tokenizer(), unet=unet,
        scheduler=DDIMScheduler(**LEVELS),
        safety_checker=None, feature_extractor=None, requires_safety_checker=False,
    )  # fmt: skip
    made.set_progress_bar_config(disable=True)
    return made


def theirs_s(made: Any, mask: Any, steps: int, **options: Any) -> float:
    """CPU seconds of diffusers' own loop for one edit of the whole canvas, without guidance."""
    began = time.process_time()
    made(
        prompt="a red apple", image=Image.fromarray(grainy_photo(SIDE)), mask_image=Image.fromarray(mask),
        num_inference_steps=steps, guidance_scale=1.0, output_type="pil", generator=torch.Generator().manual_seed(1),
        **options,
    )  # fmt: skip
    return time.process_time() - began


@contextmanager
def timed(parts: dict[str, tuple[Any, str]]) -> Iterator[dict[str, float]]:
    """CPU seconds in methods while the block runs, by a name for each; a method within a timed one is its own."""
    spent = dict.fromkeys(parts, 0.0)
    within: list[float] = []

    def around(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def run(*args: Any, **kwargs: Any) -> Any:
            began = time.process_time()
            within.append(0.0)
            try:
                return call(*args, **kwargs)
            finally:
                took = time.process_time() - began
                spent[name] += took - within.pop()
                if within:
                    within[-1] += took

        return run

    for name, (owner, method) in parts.items():
        setattr(owner, method, around(name, getattr(owner, method)))
    try:
        yield spent
    finally:
        for owner, method in parts.values():
            delattr(owner, method)
