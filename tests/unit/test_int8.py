"""Weights in eight bits: how far they are off, what they save, and that every family runs on them (E10)."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import nn

from nanobana.protocol.errors import BadInput
from nanobana_engine.models.base import Component, Item, Request, Worn
from nanobana_engine.models.guests import placed
from nanobana_engine.models.int8 import AT_ONCE, eight_bits, shrink
from nanobana_engine.models.loading import dtypes_of, load_pipeline
from nanobana_engine.models.preset import Preset
from nanobana_engine.models.sd.adapter import SdAdapter
from nanobana_engine.models.sizes import sizes_of
from nanobana_engine.worker.settings import read
from support import tiny, tiny_dit
from support.families import FACTS, FAMILIES, SD_LAYER

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")


def shrunk(network: nn.Module) -> nn.Module:
    small = deepcopy(network)
    shrink(small, least=1)
    return small


def predicted(adapter: Any) -> torch.Tensor:
    """What one call makes of a request."""
    pixels = np.random.default_rng(1).random((64, 64, 3), np.float32)
    mask = np.zeros((64, 64), np.float32)
    mask[16:48, 16:48] = 1.0
    asked = Request(pixels=pixels, mask=mask, user_mask=mask, prompt="a red apple")
    known = adapter.encode(pixels)
    noise = torch.randn(known.shape, generator=torch.Generator().manual_seed(1))
    clean: torch.Tensor = adapter.denoise(
        [Item(latents=0.4 * known + 0.6 * noise, sigma=0.6, conditioning=adapter.condition(asked))]
    )[0]
    return clean


@settings(max_examples=50)
@given(seed=st.integers(0, 2**32), rows=st.integers(1, 9), size=st.floats(1e-30, 1e30))
def test_e10_a_weight_in_eight_bits_is_off_by_half_a_step_of_its_row_at_most(seed: int, rows: int, size: float) -> None:
    weight = torch.randn(rows, 7, 3, generator=torch.Generator().manual_seed(seed)) * size
    weight[0] = 0.0
    quantized, scale = eight_bits(weight)
    steps = scale[:, None, None]
    assert ((quantized * steps - weight).abs() <= steps * 0.501).all()
    assert quantized.dtype is torch.int8
    assert not quantized[0].any()


@pytest.mark.parametrize(
    ("layer", "given"),
    [
        (nn.Linear(96, 200), torch.randn(2, 5, 96)),
        (nn.Linear(96, 200, bias=False), torch.randn(3, 96)),
        (nn.Conv2d(8, 32, 3, padding=1, stride=2), torch.randn(2, 8, 9, 7)),
        (nn.Conv2d(32, 64, 3, groups=4), torch.randn(2, 32, 5, 5)),
        (nn.Embedding(50, 64), torch.tensor([[0, 3], [49, 3]])),
    ],
)
def test_e10_a_small_layer_answers_nearly_as_the_whole_one_and_is_a_quarter_of_it(
    layer: nn.Module, given: torch.Tensor
) -> None:
    whole = nn.Sequential(layer)
    small = shrunk(whole)
    with torch.inference_mode():
        expected, got = whole(given), small(given)
    assert got.dtype is expected.dtype
    assert 0 < (got - expected).abs().max() < 0.02 * expected.abs().max()
    assert Component("it", small).bytes < 0.4 * Component("it", whole).bytes


def test_e10_a_large_layer_is_made_whole_a_few_rows_at_a_time_with_the_same_answer() -> None:
    rows = 2 * AT_ONCE // 2048 + 5
    whole = nn.Linear(2048, rows)
    small = shrunk(nn.Sequential(whole))
    words = torch.randn(2, 2048)
    quantized, scale = eight_bits(whole.weight.detach())
    with torch.inference_mode():
        expected = nn.functional.linear(words, quantized * scale[:, None], whole.bias)
        assert torch.allclose(small(words), expected, atol=1e-5)


def test_e10_half_precision_stays_what_is_computed_in() -> None:
    network = nn.Sequential(nn.Embedding(40, 64), nn.Linear(64, 300)).to(torch.bfloat16)
    small = shrunk(network)
    with torch.inference_mode():
        assert small(torch.tensor([1, 2])).dtype is torch.bfloat16


@pytest.mark.parametrize("family", FAMILIES)
def test_e10_every_family_runs_on_small_weights_and_answers_nearly_the_same(family: str) -> None:
    make, kind = FAMILIES[family]
    facts = FACTS if family.startswith("sd") else None
    adapter = kind(make(), facts)
    whole = predicted(adapter)
    pipeline = make()
    parts = [name for name in pipeline.components if name.startswith(("text_encoder", "unet", "transformer"))]
    for name in parts:
        shrink(getattr(pipeline, name), least=1)
    small = predicted(kind(pipeline, facts))
    assert 0 < (small - whole).norm() < 0.1 * whole.norm()


def test_e10_a_lora_is_worn_over_small_weights(tmp_path: Path) -> None:
    pipeline = tiny.sd_pipeline(4)
    weight = pipeline.unet.get_submodule(SD_LAYER).weight
    path = tmp_path / "one.safetensors"
    down, up = torch.randn(2, weight.shape[1]), torch.randn(weight.shape[0], 2)
    save_file({f"unet.{SD_LAYER}.lora_A.weight": down, f"unet.{SD_LAYER}.lora_B.weight": up}, path)
    shrink(pipeline.unet, least=1)
    adapter = SdAdapter(pipeline, FACTS)
    quantized = pipeline.unet.get_submodule(SD_LAYER)
    words = torch.randn(3, weight.shape[1])
    with torch.inference_mode():
        bare = quantized(words)
        adapter.loras.wear((Worn(path, 0.5),))
        worn = pipeline.unet.get_submodule(SD_LAYER)(words)
        adapter.loras.wear(())
        assert torch.allclose(worn, bare + 0.5 * words @ down.T @ up.T, atol=1e-4)
        assert torch.equal(pipeline.unet.get_submodule(SD_LAYER)(words), bare)


@pytest.mark.parametrize("make", [tiny.sd_pipeline, tiny.sd3_pipeline, tiny_dit.klein], ids=["sd", "sd3", "klein"])
def test_e10_weights_stored_in_half_precision_are_made_small_as_they_are_stored(
    make: Callable[[], Any], tmp_path: Path
) -> None:
    made = make().to(torch.float16)
    made.save_pretrained(tmp_path)
    facts = Preset(name="tiny", weights="int8")
    asked = dtypes_of(tmp_path, facts, "cpu")
    parts = [name for name, part in made.components.items() if isinstance(part, nn.Module)]
    left_out: dict[str, Any] = {name: None for name, part in made.components.items() if part is None}
    large = [name for name in parts if name.startswith(("text_encoder", "unet", "transformer"))]
    assert asked == {"default": torch.float32, **dict.fromkeys(large, torch.float16)}
    load = partial(load_pipeline, type(made), tmp_path, device="cpu", **left_out)
    small, whole = load(preset=facts), load(preset=Preset(name="tiny"))
    for name in large:
        part, same = getattr(small, name), getattr(whole, name)
        assert part.dtype is torch.float16
        shrink(part, least=1, dtype=torch.float32)
        shrink(same, least=1)
        got, expected = part.state_dict(), same.state_dict()
        assert got.keys() == expected.keys()
        assert all(got[key].dtype is each.dtype and torch.equal(got[key], each) for key, each in expected.items())
        assert any(each.dtype is torch.int8 for each in got.values())
    ready = placed(load(preset=facts), facts, "cpu")
    assert all(getattr(ready, name).dtype is torch.float32 for name in large)


@pytest.mark.parametrize("weights", ["stored", "int8"])
def test_e10_sizes_are_known_from_the_shapes_before_anything_is_loaded(weights: Any) -> None:
    encoder = tiny.clip_encoder(192)
    shapes = [tuple(each.shape) for each in encoder.parameters()]
    facts = Preset(name="tiny", weights=weights)
    sizes = sizes_of({"text_encoder": shapes, "vae": [(512, 512)]}, facts, "cpu")
    if weights == "int8":
        shrink(encoder)
    assert sizes.parts == {"text_encoder": sum(each.nbytes for each in encoder.parameters()), "vae": 4 * 512 * 512}
    assert (sizes.all, sizes.largest) == (sum(sizes.parts.values()), max(sizes.parts.values()))


def test_the_setting_names_its_two_words() -> None:
    env = {"NANOBANA_REDIS_URL": "redis://127.0.0.1:1/0"}
    assert read({**env, "NANOBANA_WEIGHTS": "int8"}).weights == "int8"
    assert read({**env, "NANOBANA_WEIGHTS": ""}).weights is None
    with pytest.raises(BadInput, match="NANOBANA_WEIGHTS"):
        read({**env, "NANOBANA_WEIGHTS": "4bit"})
