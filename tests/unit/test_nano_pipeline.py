"""nano's folder is a diffusers pipeline, and the plain loop changes nothing outside the mask."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

from nanobana_engine.assets.pack import PACK_PATH
from nanobana_engine.models.nano import backgrounds
from nanobana_engine.models.nano.folder import WEIGHTS, load
from nanobana_engine.models.nano.network import GUESSES, Mixture, make_unet
from nanobana_engine.models.nano.train import SCHEDULES, WARM_UP, phase_at

shipped = pytest.mark.skipif(
    not (PACK_PATH.exists() and (WEIGHTS / "model_index.json").exists()), reason="no asset pack or no trained weights"
)


@shipped
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
def test_the_folder_loads_as_a_pipeline_that_keeps_what_is_outside_the_mask() -> None:
    from nanobana_engine.models.nano.pipeline import NanoInpaintPipeline

    torch.set_num_threads(1)
    pipeline = NanoInpaintPipeline.from_pretrained(str(WEIGHTS))
    pipeline.set_progress_bar_config(disable=True)
    pixels = backgrounds.draw("wood", np.random.default_rng(2), 128)
    image = Image.fromarray((pixels * 255).astype(np.uint8))
    mask = Image.new("L", (128, 128))
    ImageDraw.Draw(mask).ellipse((30, 30, 100, 100), fill=255)
    before, after = np.asarray(image), np.asarray(pipeline("an apple", image, mask, 3).images[0])
    outside = np.asarray(mask) == 0
    assert np.array_equal(before[outside], after[outside])
    assert np.abs(before.astype(int) - after)[~outside].mean() > 10


@shipped
def test_the_shipped_folder_is_small_and_says_how_it_was_made() -> None:
    assert sum(p.stat().st_size for p in WEIGHTS.rglob("*") if p.is_file()) < 30e6
    facts = load().facts
    assert {"step", "samples", "seed", "minutes"} <= set(facts)


def test_a_fresh_network_starts_as_a_mixture_of_its_guesses() -> None:
    unet = make_unet()
    assert float(unet.conv_out.weight.detach().abs().max()) == 0
    assert sum(p.numel() for p in unet.parameters()) < 12e6


def test_a_mixture_composes_the_same_picture_larger() -> None:
    own, gates = torch.rand(1, 3, 16, 16), torch.zeros(1, GUESSES + 1, 16, 16)
    gates[:, 1] = 1
    mixture = Mixture(own, gates, torch.ones(1, 3, 4, 4))
    guesses = torch.rand(1, GUESSES, 3, 64, 64)
    assert torch.allclose(mixture.compose(guesses), guesses[:, 1], atol=1e-6)


def test_a_schedule_warms_up_falls_and_ends() -> None:
    phases = SCHEDULES["ship"]
    total = sum(phase.steps for phase in phases)
    first = phase_at(phases, 0)
    warm, last = phase_at(phases, WARM_UP), phase_at(phases, total - 1)
    assert first is not None
    assert warm is not None
    assert last is not None
    assert first[2] < warm[2] / 10
    assert last[2] < phases[-1].rate / 10
    assert phase_at(phases, total) is None
