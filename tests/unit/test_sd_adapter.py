"""Stable Diffusion through the engine's runner is diffusers' own pipeline of that class (E4, E7, E11)."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from nanobana.protocol.errors import BadInput
from nanobana.protocol.geometry import Box
from nanobana_engine.models.base import Item, ModelAdapter, Request
from nanobana_engine.models.preset import Preset
from nanobana_engine.models.registry import Library
from nanobana_engine.models.sd.adapter import SdAdapter
from nanobana_engine.models.sd.levels import Levels, suited
from nanobana_engine.models.sd.xl import SdxlAdapter
from nanobana_engine.runner import Pass, Runner
from nanobana_engine.runner.noise import STAGE_STRIDE, stage_noise, step_noise
from support.tiny import sd_pipeline, sd_scheduler, sdxl_pipeline, unet

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
SIZE = (64, 48)
SHAPE = (4, 6, 8)
SEED = 5
MASKED = (slice(8, 40), slice(16, 56))
"""On the lattice of latent cells, so that both sides mean the same ones."""


def _adapter(pipeline: Any, sampler: str = "euler", kind: type[SdAdapter] = SdAdapter) -> SdAdapter:
    return kind(pipeline, Preset(name="tiny", native=64, min_side=32, max_side=64, sampler=sampler))


def _request(prompt: str = "a red apple", negative: str = "no tree", **changes: Any) -> Request:
    pixels = np.random.default_rng(1).random((SIZE[1], SIZE[0], 3), np.float32)
    mask = np.zeros((SIZE[1], SIZE[0]), np.float32)
    mask[MASKED] = 1.0
    facts: dict[str, Any] = {
        "pixels": pixels, "mask": mask, "user_mask": mask, "prompt": prompt,
        "negative": negative, "seed": SEED,
    }  # fmt: skip
    return Request(**{**facts, **changes})


def _started(adapter: SdAdapter, request: Request, *, steps: int, guidance: float) -> tuple[Runner, Pass]:
    runner = Runner(adapter)
    one = runner.start(request, owner="e", steps=steps, guidance=guidance, stage=0, frame=SIZE, tile=Box(0, 0, *SIZE))
    return runner, one


def _run(runner: Runner, one: Pass) -> torch.Tensor:
    while not one.is_done:
        runner.advance([one])
    return one.latents


def _scheduler(pipeline: Any, sampler: str) -> Any:
    """The scheduler that a user of diffusers would take for a sampler."""
    from diffusers import DPMSolverMultistepScheduler, EulerDiscreteScheduler, LCMScheduler

    class SeededLcm(LCMScheduler):  # type: ignore[misc]
        """Draws each step's noise where the runner does."""

        def step(self, *args: Any, **kwargs: Any) -> Any:
            seed = ((SEED * STAGE_STRIDE) * STAGE_STRIDE + (self._step_index or 0) + 1) % 2**63
            return super().step(*args, **{**kwargs, "generator": torch.Generator().manual_seed(seed)})

    config = pipeline.scheduler.config
    if sampler == "lcm":
        return SeededLcm.from_config(config)
    if sampler == "dpm++":
        return DPMSolverMultistepScheduler.from_config(config)
    spacing = {"timestep_spacing": "trailing"} if sampler == "trailing" else {}
    return EulerDiscreteScheduler.from_config(config, **spacing)


def _theirs(pipeline: Any, adapter: SdAdapter, request: Request, sampler: str, **asked: Any) -> torch.Tensor:
    """What diffusers' pipeline makes of the same edit."""
    kept, pipeline.scheduler = pipeline.scheduler, _scheduler(pipeline, sampler)
    try:
        conditioning = adapter.condition(request)
        seen = conditioning.seen
        asked["masked_image_latents"] = torch.zeros(1, *SHAPE) if seen is None else seen[1:][None]
        noise = torch.Generator().manual_seed(SEED * STAGE_STRIDE)
        if asked["strength"] == 1.0:
            asked["latents"] = torch.randn((1, *SHAPE), generator=noise)
        images: torch.Tensor = pipeline(
            prompt=request.prompt, negative_prompt=request.negative or None, width=SIZE[0], height=SIZE[1],
            image=adapter.encode(request.pixels)[None], mask_image=torch.from_numpy(request.mask)[None, None],
            generator=noise, output_type="latent", **asked,
        ).images  # fmt: skip
        return images[0]
    finally:
        pipeline.scheduler = kept


Made = tuple[Callable[..., Any], type[SdAdapter]]
BOTH = [pytest.param((sd_pipeline, SdAdapter), id="sd"), pytest.param((sdxl_pipeline, SdxlAdapter), id="xl")]


@pytest.mark.parametrize("made", BOTH)
@pytest.mark.parametrize("sampler", ["euler", "trailing", "dpm++", "lcm"])
@pytest.mark.parametrize("guidance", [1.0, 4.0])
def test_E4_nine_channels_reach_the_latents_of_diffusers(made: Made, sampler: str, guidance: float) -> None:
    pipeline = made[0](9)
    adapter = _adapter(pipeline, sampler, made[1])
    assert isinstance(adapter, ModelAdapter)
    request = _request()
    runner, one = _started(adapter, request, steps=4, guidance=guidance)
    one.changes = Box(0, 0, *SIZE)
    one.depth = torch.ones_like(one.depth)  # that pipeline holds nothing to the surroundings: its UNet sees them
    theirs = _theirs(pipeline, adapter, request, sampler, num_inference_steps=4, guidance_scale=guidance, strength=1.0)
    assert (_run(runner, one) - theirs).abs().max() < 1e-4 * theirs.abs().max()


@pytest.mark.parametrize("made", BOTH)
@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
@pytest.mark.parametrize(("steps", "strength", "guidance"), [(4, 1.0, 4.0), (8, 0.5, 4.0), (10, 0.4, 1.0)])
def test_E4_four_channels_are_held_to_the_surroundings_as_by_diffusers(
    made: Made, prediction: str, steps: int, strength: float, guidance: float
) -> None:
    pipeline = made[0](4, prediction_type=prediction, timestep_spacing="leading")
    adapter = _adapter(pipeline, kind=made[1])
    request = _request(strength=strength)
    runner, one = _started(adapter, request, steps=round(steps * strength), guidance=guidance)
    if strength == 1.0:  # diffusers begins from noise alone, the adapter from noise over the prefill
        one.latents = Levels(pipeline.scheduler.config, "euler").pure(stage_noise(SEED, 0, SHAPE), one.sigmas[0])
    theirs = _theirs(
        pipeline, adapter, request, "euler", num_inference_steps=steps, guidance_scale=guidance, strength=strength
    )
    assert (_run(runner, one) - theirs).abs().max() < 1e-4 * theirs.abs().max()


@pytest.mark.parametrize("made", BOTH)
@pytest.mark.parametrize("channels", [4, 9])
def test_E7_E11_different_prompts_levels_and_guidance_in_one_call_equal_each_alone(made: Made, channels: int) -> None:
    adapter = _adapter(made[0](channels), kind=made[1])
    generator = torch.Generator().manual_seed(3)
    items = [
        Item(
            latents=torch.randn(SHAPE, generator=generator),
            sigma=sigma,
            conditioning=adapter.condition(_request(prompt)),
            guidance=guidance,
        )
        for prompt, sigma, guidance in [("a red apple", 0.9, 4.0), ("a tree", 0.5, 1.0), ("snow", 0.1, 2.5)]
    ]
    assert len({adapter.call_key(item) for item in items}) == 1
    together = adapter.denoise(items)
    for item, shared in zip(items, together, strict=True):
        assert (shared - adapter.denoise([item])[0]).abs().max() < 1e-4


@pytest.mark.parametrize("made", BOTH)
def test_prompts_are_read_as_diffusers_reads_them(made: Made) -> None:
    pipeline = made[0](9)
    adapter = _adapter(pipeline, kind=made[1])
    found = adapter.condition(_request("a red apple", "no tree"))
    theirs = pipeline.encode_prompt("a red apple", device="cpu", num_images_per_prompt=1,
                                    do_classifier_free_guidance=True, negative_prompt="no tree")  # fmt: skip
    ours = [found.prompt, found.negative, found.pooled, found.negative_pooled]
    for own, other in zip(ours, theirs, strict=False):
        assert own is not None
        assert (own - other[0]).abs().max() < 1e-6


def test_a_words_weight_changes_its_own_embedding_only() -> None:
    adapter = _adapter(sd_pipeline(4))
    usual = adapter.condition(_request("a red apple")).prompt
    more = adapter.condition(_request("a (red:1.5) apple")).prompt
    empty = adapter.condition(_request("")).prompt
    assert torch.allclose(more[2], empty[2] + 1.5 * (usual[2] - empty[2]), atol=1e-6)
    assert torch.equal(torch.cat([more[:2], more[3:]]), torch.cat([usual[:2], usual[3:]]))


def test_a_long_prompt_is_read_in_pieces_and_one_beyond_them_is_refused() -> None:
    adapter = _adapter(sd_pipeline(4))
    found = adapter.condition(_request("apple " * 100))
    assert len(found.prompt) == len(found.negative) == 2 * 77
    with pytest.raises(BadInput, match="reads 300") as refused:
        adapter.condition(_request("apple " * 400))
    assert refused.value.code == "prompt_too_long"


@pytest.mark.parametrize("made", BOTH)
def test_pixels_come_back_as_from_diffusers_and_a_preview_is_a_pixel_a_cell(made: Made) -> None:
    pipeline = made[0](9)
    adapter = _adapter(pipeline, kind=made[1])
    latents = stage_noise(1, 0, SHAPE)
    with torch.inference_mode():
        theirs = pipeline.vae.decode(latents[None] / pipeline.vae.config.scaling_factor).sample[0]
    assert np.abs(adapter.decode(latents) - (theirs / 2 + 0.5).clamp(0, 1).permute(1, 2, 0).numpy()).max() < 1e-5
    assert adapter.preview(latents).shape == (6, 8, 3)


def test_a_preview_shows_the_colours_of_an_encoder_that_keeps_them() -> None:
    from nanobana_engine.models.projection import Projection

    def encode(pixels: np.ndarray) -> torch.Tensor:
        cells = torch.from_numpy(pixels).permute(2, 0, 1)[:, ::8, ::8]
        return torch.cat([2.0 * cells - 1.0, cells.sum(0, keepdim=True)])

    picture = np.random.default_rng(2).random((2, 3, 3), np.float32)
    shown = Projection(encode, 8)(encode(picture.repeat(8, 0).repeat(8, 1)))
    assert np.abs(shown.astype(int) - np.rint(picture * 255).astype(int)).max() <= 1


def test_E4_less_strength_begins_later_and_keeps_three_steps() -> None:
    for sampler in ("euler", "trailing", "dpm++", "lcm"):
        adapter = _adapter(sd_pipeline(4), sampler)
        whole, part, least = (adapter.sigmas(n, strength, SIZE) for n, strength in ((8, 1.0), (4, 0.5), (1, 0.05)))
        assert (len(whole), len(part), len(least)) == (9, 5, 4)
        assert whole[0] > part[0] > least[0] > 0.0 == least[-1]
        assert all(before > after for levels in (whole, part, least) for before, after in pairwise(levels))


def test_a_folder_is_sampled_as_its_own_scheduler_means() -> None:
    from diffusers import EulerDiscreteScheduler, LCMScheduler

    facts = Preset(name="ours")
    slow, few = sd_scheduler(), {"draft": 4, "balanced": 6, "best": 8}
    assert suited(facts, slow).sampler == "dpm++"
    assert suited(facts, LCMScheduler.from_config(slow.config)).sampler == "lcm"
    turbo = suited(facts, EulerDiscreteScheduler.from_config(slow.config, timestep_spacing="trailing"))
    assert (turbo.sampler, turbo.guidance, turbo.steps) == ("trailing", 1.0, few)
    named = Preset(name="ours", sampler="euler", guidance=3.0)
    assert suited(named, LCMScheduler.from_config(slow.config)) == named


def test_E11_noise_on_the_way_is_the_same_for_the_same_seed() -> None:
    assert torch.equal(step_noise(7, 1, 2, SHAPE), step_noise(7, 1, 2, SHAPE))
    assert not torch.equal(step_noise(7, 1, 2, SHAPE), step_noise(7, 1, 3, SHAPE))
    assert not torch.equal(step_noise(7, 1, 0, SHAPE), stage_noise(7, 1, SHAPE))


@pytest.mark.parametrize("made", BOTH)
def test_a_folder_loads_by_its_class_and_parts_that_do_not_belong_together_are_named(
    made: Made, tmp_path: Path
) -> None:
    pipeline = made[0](9)
    pipeline.save_pretrained(tmp_path / "ours")
    loaded = Library(tmp_path).load("ours", "cpu")
    assert (type(loaded), loaded.preset.name) == (made[1], "ours")
    pixels = _request().pixels
    assert torch.equal(loaded.encode(pixels), _adapter(pipeline, kind=made[1]).encode(pixels))
    assert {"text_encoder", "unet", "vae"} <= {each.name for each in loaded.components()}

    unet(9, 24 if made[1] is SdAdapter else 40).save_pretrained(tmp_path / "ours" / "unet")
    with pytest.raises(BadInput, match="text embeddings of") as refused:
        Library(tmp_path).load("ours", "cpu")
    assert refused.value.code == "wrong_component"
