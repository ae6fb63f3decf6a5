"""Z-Image through the engine's runner is diffusers' own pipeline, and its batches may be ragged (E4, E7, E11)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from nanobana_engine.models.base import Item
from nanobana_engine.models.zimage import ZImageAdapter, ZImageConditioning
from support import tiny_dit
from support.denoising import finished, noise, request

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")


@pytest.fixture(scope="module")
def pipeline() -> Any:
    return tiny_dit.zimage()


@pytest.mark.parametrize("guidance", [0.0, 2.5])
def test_E4_the_runner_and_diffusers_pipeline_reach_the_same_latents(pipeline: Any, guidance: float) -> None:
    runner, one = finished(ZImageAdapter(pipeline), request("a red apple", (64, 48)), steps=4, guidance=guidance)
    asked = {
        "prompt": "a red apple", "negative_prompt": "no", "width": 64, "height": 48, "num_inference_steps": 4,
        "guidance_scale": guidance, "latents": noise(one),
    }  # fmt: skip
    theirs = pipeline(**asked, output_type="latent").images[0]
    assert (one.latents - theirs).abs().max() < 1e-4
    assert (theirs - noise(one)[0]).abs().max() > 0.1
    assert np.abs(runner.decode(one) - pipeline(**asked, output_type="np").images[0]).max() < 1e-3
    assert runner.preview(one).shape == (6, 8, 3)


def test_E7_E11_three_sizes_prompts_and_levels_in_one_call_equal_three_alone(pipeline: Any) -> None:
    adapter = ZImageAdapter(pipeline)
    generator = torch.Generator().manual_seed(3)
    items = [
        Item(
            latents=torch.randn((16, height, width), generator=generator),
            sigma=sigma,
            conditioning=ZImageConditioning(
                torch.randn((tokens, 16), generator=generator), torch.randn((4, 16), generator=generator)
            ),
            guidance=guidance,
        )
        for height, width, sigma, tokens, guidance in [(4, 6, 0.9, 3, 0.0), (8, 8, 0.5, 40, 3.0), (10, 4, 0.2, 7, 0.0)]
    ]
    assert len({adapter.call_key(item) for item in items}) == 1
    together = adapter.denoise(items)
    for item, shared in zip(items, together, strict=True):
        assert shared.shape == item.latents.shape
        assert (shared - adapter.denoise([item])[0]).abs().max() < 1e-4
