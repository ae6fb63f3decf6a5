"""What every adapter promises at the seam, one for each family of presets.toml: shapes, levels, batches, no memory."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch

from nanobana.protocol.geometry import Box
from nanobana_engine.models.any_pipeline import AnyPipelineAdapter
from nanobana_engine.models.base import ModelAdapter, Request
from nanobana_engine.models.catalogue import Catalogue
from nanobana_engine.models.flux_fill import FluxFillAdapter
from nanobana_engine.models.klein import KleinAdapter
from nanobana_engine.models.nano.adapter import NanoAdapter
from nanobana_engine.models.qwen_edit import QwenEditAdapter
from nanobana_engine.models.sd.adapter import SdAdapter
from nanobana_engine.models.sd.xl import SdxlAdapter
from nanobana_engine.models.zimage import ZImageAdapter
from nanobana_engine.runner import Pass, Runner
from support import tiny, tiny_dit
from support.denoising import left_half, request

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
CATALOGUE = Catalogue.read()
FACTS = CATALOGUE.defaults
MADE: dict[str, Callable[[], ModelAdapter]] = {
    "nano": NanoAdapter.shipped,
    "z-image": lambda: ZImageAdapter(tiny_dit.zimage()),
    "sd": lambda: SdAdapter(tiny.sd_pipeline(9), FACTS["sd"]),
    "sdxl": lambda: SdxlAdapter(tiny.sdxl_pipeline(4), FACTS["sdxl"]),
    "flux-fill": lambda: FluxFillAdapter(tiny_dit.flux_fill()),
    "flux2-klein": lambda: KleinAdapter(tiny_dit.klein(is_distilled=False)),
    "qwen-image-edit": lambda: QwenEditAdapter(tiny_dit.qwen_edit("QwenImageEditPlusPipeline")),
    "other": lambda: AnyPipelineAdapter(tiny.sd3_pipeline(), FACTS["other"]),
}
SIZES = ((128, 128), (192, 128))
CLOSE = 1e-3
"""E11's tolerance on latents: sums in another order."""


@pytest.fixture(scope="module", params=MADE)
def adapter(request: pytest.FixtureRequest) -> ModelAdapter:
    return MADE[request.param]()


def test_every_family_is_held_to_the_contract() -> None:
    assert set(MADE) == set(CATALOGUE.families)


@dataclass(frozen=True)
class Wish:
    """One of several edits that are under way at the same time."""

    prompt: str
    size: tuple[int, int]
    steps: int
    guidance: float
    seed: int

    def request(self, **facts: Any) -> Request:
        mask = left_half(self.size)
        return request(self.prompt, self.size, mask=mask, user_mask=mask, seed=self.seed, **facts)

    def start(self, runner: Runner, **facts: Any) -> Pass:
        return runner.start(
            self.request(**facts), owner=self.prompt, steps=self.steps, guidance=self.guidance, stage=0,
            frame=self.size, tile=Box(0, 0, *self.size),
        )  # fmt: skip


WISHES = (
    Wish("a red apple", SIZES[0], 3, 1.0, 1),
    Wish("a tree", SIZES[1], 4, 3.0, 2),
    Wish("a red tree", SIZES[0], 5, 3.0, 3),
)


def _alone(adapter: ModelAdapter, wish: Wish, **facts: Any) -> torch.Tensor:
    runner = Runner(adapter)
    one = wish.start(runner, **facts)
    while not one.is_done:
        runner.advance([one])
    runner.release(one)
    return one.latents


def test_pixels_become_latents_of_their_size_and_come_back_as_pixels(adapter: ModelAdapter) -> None:
    pixels = WISHES[1].request().pixels
    before = pixels.copy()
    latents = adapter.encode(pixels)
    stride = adapter.preset.latent_stride
    assert latents.shape[1:] == (128 // stride, 192 // stride)
    assert (latents.dtype, latents.device.type) == (torch.float32, "cpu")
    assert torch.equal(latents, adapter.encode(pixels))
    again = adapter.decode(latents)
    assert again.shape == pixels.shape
    assert again.dtype == np.float32
    assert again.min() >= 0.0
    assert again.max() <= 1.0
    assert np.array_equal(pixels, before)


@pytest.mark.parametrize("steps", [1, 4, 9])
@pytest.mark.parametrize("strength", [1.0, 0.4, 0.05])
def test_E4_levels_fall_to_nothing_in_three_steps_or_more(adapter: ModelAdapter, steps: int, strength: float) -> None:
    levels = adapter.sigmas(steps, strength, SIZES[0])
    assert len(levels) >= 4
    assert levels[-1] == 0.0
    assert all(after < before for before, after in pairwise(levels))
    assert levels[0] <= 1.0 + 1e-6
    assert len(levels) - 1 == max(3, steps), "the planner has counted the strength in already"
    if strength < 1.0:
        assert levels[0] <= adapter.sigmas(steps, 1.0, SIZES[0])[0]


def test_a_call_answers_every_item_with_latents_like_its_own_and_changes_none(adapter: ModelAdapter) -> None:
    runner = Runner(adapter)
    for wish in WISHES:
        one = wish.start(runner)
        item = one.item()
        before = item.latents.clone()
        (clean,) = adapter.denoise([item])
        assert clean.shape == item.latents.shape
        assert (clean.dtype, clean.device.type) == (torch.float32, "cpu")
        assert torch.isfinite(clean).all()
        assert torch.equal(item.latents, before)
        runner.release(one)


def test_a_key_is_the_same_at_every_step_and_costs_rise_with_size_and_are_never_nothing(adapter: ModelAdapter) -> None:
    runner = Runner(adapter)
    costs = []
    for wish in (WISHES[0], Wish("a tree", (256, 256), 3, 1.0, 1)):
        one = wish.start(runner)
        assert isinstance(one.key, Hashable)
        assert one.key == adapter.call_key(one.item())
        costs.append(runner.cost(one))
        runner.advance([one])
        assert one.key == adapter.call_key(one.item())
        runner.release(one)
    assert 0 < costs[0] < costs[1]


def test_E7_E11_edits_that_join_and_leave_a_running_batch_are_what_they_are_alone(adapter: ModelAdapter) -> None:
    alone = [_alone(adapter, wish) for wish in WISHES]
    runner = Runner(adapter)
    waiting, running, ended = list(WISHES), list[Pass](), list[Pass]()
    while waiting or running:
        if waiting:  # one more joins at every step
            running.append(waiting.pop(0).start(runner))
        assert runner.advance(running) == []
        for one in [each for each in running if each.is_done]:
            running.remove(one)
            ended.append(one)
    found = {one.owner: one.latents for one in ended}
    for wish, latents in zip(WISHES, alone, strict=True):
        assert (found[wish.prompt] - latents).abs().max() < CLOSE
    for one in ended:
        runner.release(one)


def test_E11_nothing_of_one_edit_is_left_for_the_next(adapter: ModelAdapter) -> None:
    first = _alone(adapter, WISHES[0])
    _alone(adapter, WISHES[1])
    assert torch.equal(first, _alone(adapter, WISHES[0]))
    check = getattr(adapter, "check_integrity", None)
    assert check is None or check() is None


def test_previews_are_small_pictures_of_the_same_shape(adapter: ModelAdapter) -> None:
    runner = Runner(adapter)
    one = WISHES[1].start(runner)
    runner.advance([one])
    shown = runner.preview(one)
    height, width, planes = shown.shape
    assert shown.dtype == np.uint8
    assert planes == 3
    assert width / height == pytest.approx(192 / 128, rel=0.1)
    assert 0 < width <= 256
    runner.release(one)


def test_E3_a_stage_refines_what_the_one_before_it_made(adapter: ModelAdapter) -> None:
    made = np.random.default_rng(9).random((128, 128, 3), np.float32)
    refined = _alone(adapter, WISHES[0], previous=made, strength=0.4, stage="rough")
    assert torch.isfinite(refined).all()
    assert not torch.equal(refined, _alone(adapter, WISHES[0], strength=0.4))


def test_a_reference_is_followed_by_models_that_take_some_and_changes_nothing_for_others(adapter: ModelAdapter) -> None:
    picture = np.full((64, 64, 4), 255, np.uint8)
    picture[16:48, 16:48, :3] = (200, 30, 30)
    plain, followed = (_alone(adapter, WISHES[0], references=given) for given in ((), (picture,)))
    assert torch.equal(plain, followed) != adapter.preset.takes_references


def test_E10_its_networks_have_names_and_weights(adapter: ModelAdapter) -> None:
    parts = list(adapter.components())
    assert len({part.name for part in parts}) == len(parts) > 0
    assert all(part.bytes > 0 for part in parts)
