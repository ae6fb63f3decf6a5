"""Qwen-Image-Edit through the engine's runner is diffusers' own pipelines at a megapixel, references included (E4)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from nanobana_engine.models.base import Item
from nanobana_engine.models.dit import pack
from nanobana_engine.models.looking import LookingConditioning, as_image
from nanobana_engine.models.qwen_edit import QwenEditAdapter
from support import tiny_dit
from support.denoising import finished, left_half, noise, request

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
COARSE = (False,) * 5
"""Halvings of a VAE for which a megapixel is 256 tokens."""


def test_E4_the_runner_and_diffusers_inpainting_reach_the_same_picture_at_a_megapixel() -> None:
    pipeline = tiny_dit.qwen_edit("QwenImageEditInpaintPipeline", strides=COARSE)
    size = (1024, 1024)
    mask = left_half(size)
    asked = request("a red apple", size, mask=mask, user_mask=mask)
    draws = torch.Generator().manual_seed(7)
    torch.randn((1, 4, 1, 32, 32), generator=draws)  # the pipeline samples the picture's latents first
    begins = torch.randn((4, 32, 32), generator=draws)
    _, one = finished(QwenEditAdapter(pipeline), asked, steps=3, guidance=4.0, begins=begins)
    theirs = pipeline(
        prompt="a red apple", negative_prompt="no", image=as_image(asked.pixels), strength=1.0, true_cfg_scale=4.0,
        mask_image=as_image(np.repeat(mask[..., None], 3, 2)), num_inference_steps=3, output_type="latent",
        generator=torch.Generator().manual_seed(7),
    ).images  # fmt: skip
    assert (pack(one.latents[None]) - theirs).abs().max() < 1e-3
    assert (theirs - pack(begins[None])).abs().max() > 0.1


def test_E4_references_are_looked_at_as_in_diffusers_pipeline_for_several() -> None:
    pipeline = tiny_dit.qwen_edit("QwenImageEditPlusPipeline", strides=COARSE)
    size = (1024, 1024)
    reference = np.random.default_rng(2).integers(0, 256, (60, 60, 4), np.uint8)
    reference[..., 3] = 255
    adapter = QwenEditAdapter(pipeline)
    asked = request("a red apple", size, references=(reference,))
    _, one = finished(adapter, asked, steps=3, guidance=1.0)
    theirs = pipeline(
        prompt="a red apple", image=[as_image(asked.pixels), as_image((reference[..., :3] / 255.0).astype(np.float32))],
        true_cfg_scale=1.0, num_inference_steps=3, width=1024, height=1024, latents=pack(noise(one)),
        output_type="latent",
    ).images  # fmt: skip
    assert (pack(one.latents[None]) - theirs).abs().max() < 1e-3
    assert adapter.preset.takes_references


def test_latents_are_the_vaes_without_their_mean_and_deviation() -> None:
    pipeline = tiny_dit.qwen_edit()
    adapter, pixels = QwenEditAdapter(pipeline), request("", (64, 48)).pixels
    clip = torch.from_numpy(pixels).permute(2, 0, 1)[None, :, None] * 2 - 1
    with torch.inference_mode():
        latents = pipeline.vae.encode(clip).latent_dist.mode()
        again = pipeline.vae.decode(latents).sample[0, :, 0].permute(1, 2, 0)
    config = pipeline.vae.config
    mean, deviation = (torch.tensor(kept).reshape(4, 1, 1) for kept in (config.latents_mean, config.latents_std))
    assert torch.allclose(adapter.encode(pixels), (latents[0, :, 0] - mean) / deviation, atol=1e-5)
    decoded = torch.from_numpy(adapter.decode(adapter.encode(pixels)))
    assert torch.allclose(decoded, (again / 2 + 0.5).clamp(0, 1), atol=1e-5)


def test_E7_E11_prompts_of_any_length_share_a_call_with_guidance_or_without() -> None:
    adapter = QwenEditAdapter(tiny_dit.qwen_edit())
    generator = torch.Generator().manual_seed(3)

    def item(sigma: float, tokens: int, guidance: float) -> Item:
        words, avoided = (torch.randn((count, 16), generator=generator) for count in (tokens, tokens // 2 + 1))
        seen = (torch.randn((4, 6, 8), generator=generator),)
        return Item(
            latents=torch.randn((4, 6, 8), generator=generator), sigma=sigma,
            conditioning=LookingConditioning(words, avoided, seen), guidance=guidance,
        )  # fmt: skip

    items = [item(0.9, 3, 1.0), item(0.5, 40, 3.0), item(0.2, 7, 1.0)]
    assert len({adapter.call_key(each) for each in items}) == 1
    for each, shared in zip(items, adapter.denoise(items), strict=True):
        assert (shared - adapter.denoise([each])[0]).abs().max() < 1e-4


def test_a_prompt_cannot_pretend_to_be_a_picture() -> None:
    adapter = QwenEditAdapter(tiny_dit.qwen_edit())
    condition: Any = adapter.condition(request("a <|image_pad|> tree", (64, 48)))
    assert len(condition.prompt) > 0


def test_the_text_encoder_is_told_where_pictures_lie() -> None:
    pipeline = tiny_dit.qwen_edit()
    asked: dict[str, Any] = {"prompt": "a red apple", "image": as_image(request("", (56, 28)).pixels)}
    before, _ = pipeline.encode_prompt(**asked)
    QwenEditAdapter(pipeline)
    after, _ = pipeline.encode_prompt(**asked)
    assert not torch.allclose(before, after)
