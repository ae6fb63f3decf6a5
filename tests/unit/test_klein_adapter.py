"""FLUX.2 klein through the engine's runner is diffusers' inpainting pipeline, references included (E4)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from nanobana_engine.models.dit import pack
from nanobana_engine.models.klein import KleinAdapter
from nanobana_engine.models.looking import MEGAPIXEL, as_image
from support import tiny_dit
from support.denoising import finished, left_half, noise, request

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
SIZE = (64, 48)


def _reference(size: tuple[int, int]) -> np.ndarray[Any, np.dtype[np.uint8]]:
    picture = np.random.default_rng(2).integers(0, 256, (size[1], size[0], 4), np.uint8)
    picture[..., 3] = 255
    return picture


@pytest.mark.parametrize("is_distilled", [True, False])
@pytest.mark.parametrize("with_reference", [False, True])
def test_E4_the_runner_and_diffusers_pipeline_reach_the_same_latents(is_distilled: bool, with_reference: bool) -> None:
    pipeline = tiny_dit.klein(is_distilled=is_distilled, inpaint=True)
    mask = left_half(SIZE)
    references = (_reference((32, 48)),) if with_reference else ()
    asked = request("a red apple", SIZE, mask=mask, user_mask=mask, references=references, negative="")
    runner, one = finished(KleinAdapter(pipeline), asked, steps=4, guidance=4.0)
    given = {
        "prompt": "a red apple", "image": as_image(asked.pixels), "height": 48, "width": 64, "strength": 1.0,
        "mask_image": as_image(np.repeat(mask[..., None], 3, 2)), "num_inference_steps": 4, "guidance_scale": 4.0,
        "image_reference": as_image((references[0][..., :3] / 255.0).astype(np.float32)) if references else None,
        "latents": pack(noise(one)).permute(0, 2, 1).reshape(1, -1, 3, 4),
    }  # fmt: skip
    theirs = torch.as_tensor(pipeline(**given, output_type="np").images[0])
    ours = torch.as_tensor(runner.decode(one))
    assert (ours - theirs).abs().max() < 1e-3
    assert (ours - torch.as_tensor(asked.pixels)).abs().max() > 0.1
    assert runner.preview(one).shape == (6, 8, 3)


def test_a_distilled_model_has_no_guidance_and_a_base_model_has() -> None:
    latents = [
        finished(KleinAdapter(tiny_dit.klein(is_distilled=each)), request("a tree", SIZE), steps=3, guidance=g)[
            1
        ].latents
        for each in (True, False)
        for g in (1.0, 5.0)
    ]
    assert torch.equal(latents[0], latents[1])
    assert torch.equal(latents[0], latents[2])
    assert not torch.allclose(latents[2], latents[3])


def test_pictures_that_are_looked_at_have_sides_that_the_network_takes() -> None:
    adapter = KleinAdapter(tiny_dit.klein())
    asked = request("a tree", SIZE, references=(_reference((3000, 700)), _reference((3, 200))))
    wide, narrow = (tuple(8 * side for side in one.shape[-2:]) for one in adapter.condition(asked).seen[1:])
    assert wide[0] * wide[1] <= MEGAPIXEL
    assert abs(wide[1] / wide[0] - 3000 / 700) < 0.2
    assert narrow == (192, 16)
