"""FLUX.1-Fill through the engine's runner is diffusers' own pipeline (E4)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from nanobana_engine.models.dit import pack
from nanobana_engine.models.flux_fill import FluxFillAdapter
from nanobana_engine.models.looking import as_image
from support import tiny_dit
from support.denoising import finished, left_half, noise, request

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
SIZE = (64, 48)


@pytest.fixture(scope="module")
def pipeline() -> Any:
    return tiny_dit.flux_fill()


@pytest.mark.parametrize(("guidance", "prompt"), [(30.0, "a red apple"), (3.5, "a tree " * 60)])
def test_E4_the_runner_and_diffusers_pipeline_reach_the_same_latents(
    pipeline: Any, guidance: float, prompt: str
) -> None:
    mask = left_half(SIZE)
    asked = request(prompt, SIZE, mask=mask, user_mask=mask)
    runner, one = finished(FluxFillAdapter(pipeline), asked, steps=4, guidance=guidance, blends=False)
    embeds, pooled, _ = pipeline.encode_prompt(prompt, prompt)
    given = {
        "prompt_embeds": embeds, "pooled_prompt_embeds": pooled, "image": as_image(asked.pixels), "width": 64,
        "mask_image": as_image(np.repeat(mask[..., None], 3, 2)), "height": 48, "num_inference_steps": 4,
        "guidance_scale": guidance, "latents": pack(noise(one)),
    }  # fmt: skip
    theirs = pipeline(**given, output_type="latent").images
    assert (pack(one.latents[None]) - theirs).abs().max() < 1e-4
    assert (theirs - pack(noise(one))).abs().max() > 0.1
    assert np.abs(runner.decode(one) - pipeline(**given, output_type="np").images[0]).max() < 1e-3


def test_a_soft_mask_is_cut_at_one_half_as_in_the_pipeline(pipeline: Any) -> None:
    adapter = FluxFillAdapter(pipeline)
    hard = left_half(SIZE)
    soft = np.where(hard > 0, np.float32(0.5), np.float32(0.49))
    of_hard, of_soft = (adapter.condition(request("a tree", SIZE, mask=mask)) for mask in (hard, soft))
    assert torch.equal(of_hard.hole, of_soft.hole)
