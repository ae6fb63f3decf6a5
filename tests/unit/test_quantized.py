"""Networks that diffusers loads with torchao's quantization: what they answer, what they take, what is refused (E10).

torchao comes with `make soak`: there each family runs on it. `make test` sees what is said where it is not installed.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from accelerate.hooks import remove_hook_from_module
from safetensors.torch import save_file
from torch import nn

from nanobana.protocol.errors import BadInput
from nanobana_engine.models import doctor
from nanobana_engine.models.base import Component, Item, Request, Worn
from nanobana_engine.models.guests import NetworkGuest, guests_of
from nanobana_engine.models.preset import FewStep
from nanobana_engine.models.quantized import check_taken, config_of_all, is_installed, tried_on
from nanobana_engine.models.registry import Library
from nanobana_engine.models.sd.adapter import SdAdapter
from nanobana_engine.models.sizes import TORCHAO
from nanobana_engine.models.wrapped import empty, is_wrapped, put, stored_bytes
from nanobana_engine.sparse import Executor
from support import sparse, tiny, tiny_dit
from support.families import FACTS, FAMILIES, SD_LAYER

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")


def with_torchao(test: Any) -> Any:
    marks = (
        pytest.mark.soak,
        pytest.mark.timeout(120),
        pytest.mark.skipif(not is_installed(), reason="no torchao: make soak installs it"),
    )
    for mark in marks:
        test = mark(test)
    return test


def item_of(adapter: Any, seed: int, prompt: str = "a red apple") -> Item:
    pixels = np.random.default_rng(seed).random((64, 64, 3), np.float32)
    mask = np.zeros((64, 64), np.float32)
    mask[16:48, 16:48] = 1.0
    known = adapter.encode(pixels)
    noise = torch.randn(known.shape, generator=torch.Generator().manual_seed(seed))
    asked = Request(pixels=pixels, mask=mask, user_mask=mask, prompt=prompt)
    return Item(latents=0.4 * known + 0.6 * noise, sigma=0.6, conditioning=adapter.condition(asked))


def loaded(family: str, folder: Path) -> tuple[Any, Any]:
    """A family's model as it is stored, and with its linear layers in eight bits."""
    make, kind = FAMILIES[family]
    if not folder.is_dir():
        torch.manual_seed(7)
        tiny_dit.save(make(), folder)
    facts = FACTS if family.startswith("sd") else kind(make(), None).preset
    whole, small = (kind.from_folder(folder, replace(facts, weights=weights)) for weights in ("stored", TORCHAO))
    return whole, small


def whole_bytes(network: nn.Module) -> int:
    """Of the numbers that its weights stand for."""
    return sum(weight.numel() * 4 for weight in network.parameters())


def linears(network: nn.Module) -> list[nn.Linear]:
    return [each for each in network.modules() if isinstance(each, nn.Linear)]


@pytest.mark.skipif(is_installed(), reason="torchao is installed")
def test_e10_where_torchao_is_not_installed_what_to_install_is_said_before_anything_is_read(tmp_path: Path) -> None:
    (tmp_path / "model_index.json").write_text('{"_class_name": "StableDiffusionInpaintPipeline"}')
    with pytest.raises(BadInput, match=r"nanobana\[quantize\]") as refused:
        Library(weights=TORCHAO).load(str(tmp_path), "cpu")
    assert refused.value.code == "no_quantizer"
    found = {each.what: each for each in doctor.look({"NANOBANA_WEIGHTS": TORCHAO}, there=())}
    assert found["quantization"].state == "fail"
    assert "nanobana[quantize]" in found["quantization"].text


def test_e10_the_model_that_ships_starts_whatever_weights_are_asked_for() -> None:
    assert Library(weights=TORCHAO).load("nano", "cpu").preset.name == "nano"


def test_e10_a_network_without_a_layer_that_could_be_in_eight_bits_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="a Conv2d, cannot be loaded") as refused:
        check_taken({"vae": nn.Linear(2, 2), "unet": nn.Conv2d(3, 3, 3)}, tmp_path)
    assert refused.value.code == "weights_unsupported"
    (tmp_path / "model_index.json").write_text('{"vae": ["diffusers", "AutoencoderKL"]}')
    with pytest.raises(BadInput, match="no network"):
        config_of_all(tmp_path, "cpu")


@with_torchao
@pytest.mark.parametrize("family", FAMILIES)
def test_e10_every_family_multiplies_in_eight_bits_and_answers_nearly_the_same(family: str, tmp_path: Path) -> None:
    whole, small = loaded(family, tmp_path / "it")
    parts = {each.name: each.module for each in small.components()}
    large = [part for name, part in parts.items() if name.startswith(("text_encoder", "unet", "transformer"))]
    assert all(sum(is_wrapped(each.weight) for each in linears(part)) > 0.9 * len(linears(part)) for part in large)
    assert not any(is_wrapped(weight) for weight in parts["vae"].parameters())
    expected, got = (adapter.denoise([item_of(adapter, 1)])[0] for adapter in (whole, small))
    assert 0 < (got - expected).norm() < 0.15 * expected.norm()


@with_torchao
@pytest.mark.parametrize("family", ["sd", "klein"])
def test_e11_in_company_an_edit_in_eight_bits_is_as_near_to_what_is_stored_as_alone(
    family: str, tmp_path: Path
) -> None:
    whole, small = loaded(family, tmp_path / "it")
    one, other = item_of(small, 1), item_of(small, 2, "a tree")
    expected = whole.denoise([item_of(whole, 1)])[0]
    for got in (small.denoise([one])[0], small.denoise([other, one])[1]):
        assert (got - expected).norm() < 0.05 * expected.norm(), "measured: 0.002 to 0.006"


@with_torchao
def test_e10_networks_in_eight_bits_are_put_aside_and_come_again_from_their_files(tmp_path: Path) -> None:
    _, small = loaded("sd", tmp_path / "it")
    parts = {each.name: each for each in small.components()}
    encoder, words = parts["text_encoder"].module, torch.tensor([[0, 2, 9]])
    guests = guests_of(small.components())
    assert [guest.name for guest in guests] == ["text_encoder", "unet"]
    with torch.inference_mode():
        before = encoder(words)[0]
        guests[0].go()
        assert parts["text_encoder"].bytes < 0.1 * guests[0].bytes, "positions are no weights, and stay"
        assert torch.equal(encoder(words)[0], before)
    assert parts["text_encoder"].bytes >= guests[0].bytes > 0


@with_torchao
def test_e10_networks_in_eight_bits_wait_on_the_host_and_are_brought_to_a_device(tmp_path: Path) -> None:
    _, small = loaded("sd", tmp_path / "it")
    network = small.unet
    remove_hook_from_module(network)  # as if it had been loaded for a device of its own
    row = sparse.row_of(network, 1, tokens=3)
    given = row.sample[None], row.timestep, torch.randn(1, 3, network.config.cross_attention_dim)
    with torch.inference_mode():
        before = network(*given)[0]
        guest = NetworkGuest("unet", network, torch.device("cpu"), None)
        assert guest.host_bytes == guest.bytes == sum(map(stored_bytes, network.parameters())) < whole_bytes(network)
        assert torch.equal(network(*given)[0], before)
        guest.go()
        assert torch.equal(network(*given)[0], before)


@with_torchao
def test_e10_whoever_holds_a_parameter_in_eight_bits_has_it_wherever_it_is_brought(tmp_path: Path) -> None:
    _, small = loaded("sd", tmp_path / "it")
    weight: Any = small.unet.get_submodule(SD_LAYER).weight
    kept = weight.data
    put(weight, kept.to("meta"))
    assert small.unet.get_submodule(SD_LAYER).weight is weight
    assert weight.device.type == weight.qdata.device.type == "meta"
    put(weight, kept)
    assert torch.equal(weight.dequantize(), kept.dequantize())
    empty(weight)
    assert (weight.shape, stored_bytes(weight)) == (kept.shape, 0)


@with_torchao
def test_e10_a_lora_is_worn_over_layers_in_eight_bits(tmp_path: Path) -> None:
    _, small = loaded("sd", tmp_path / "it")
    layer = small.unet.get_submodule(SD_LAYER)
    path, words = tmp_path / "one.safetensors", torch.randn(3, layer.in_features)
    down, up = torch.randn(2, layer.in_features), torch.randn(layer.out_features, 2)
    save_file({f"unet.{SD_LAYER}.lora_A.weight": down, f"unet.{SD_LAYER}.lora_B.weight": up}, path)
    with torch.inference_mode():
        bare = layer(words)
        small.loras.wear((Worn(path, 0.5),))
        worn = small.unet.get_submodule(SD_LAYER)(words)
        small.loras.wear(())
        assert torch.allclose(worn, bare + 0.5 * words @ down.T @ up.T, atol=1e-4)
        assert torch.equal(small.unet.get_submodule(SD_LAYER)(words), bare)


@with_torchao
def test_e10_weights_for_few_steps_are_merged_into_layers_in_eight_bits(tmp_path: Path) -> None:
    tiny.sd_pipeline().save_pretrained(tmp_path / "it")
    bare = SdAdapter.from_folder(tmp_path / "it", replace(FACTS, weights=TORCHAO)).unet.get_submodule(SD_LAYER)
    down, up = 0.1 * torch.randn(2, bare.in_features), 0.1 * torch.randn(bare.out_features, 2)
    path, words = tmp_path / "few.safetensors", torch.randn(64, bare.in_features)
    save_file({f"unet.{SD_LAYER}.lora_A.weight": down, f"unet.{SD_LAYER}.lora_B.weight": up}, path)
    facts = replace(FACTS, weights=TORCHAO, few_step=FewStep(repo="a/b", file=path.name))
    merged = SdAdapter.from_folder(tmp_path / "it", facts, few_step=path).unet.get_submodule(SD_LAYER)
    with torch.inference_mode():
        expected = bare(words) + words @ down.T @ up.T
        assert is_wrapped(merged.weight)
        assert (merged(words) - expected).norm() < 0.03 * expected.norm() < (bare(words) - expected).norm()


@with_torchao
def test_e9_a_sparse_pass_over_layers_in_eight_bits_gives_what_was_recorded() -> None:
    from torchao.quantization import Int8DynamicActivationInt8WeightConfig, quantize_

    unet = sparse.sd_unet()
    quantize_(unet, Int8DynamicActivationInt8WeightConfig())
    executor, row = Executor(unet), sparse.row_of(unet, 1)
    with torch.inference_mode():
        _, record = executor.record([row])[0]
        assert executor.error(row, record) < 0.01


@with_torchao
def test_e10_sizes_are_known_before_anything_is_loaded(tmp_path: Path) -> None:
    _, small = loaded("klein", tmp_path / "it")
    sizes = Library(weights=TORCHAO).sizes(str(tmp_path / "it"), "cpu")
    held = {each.name: Component(each.name, each.module).bytes for each in small.components()}
    assert sizes.parts["transformer"] == pytest.approx(held["transformer"], rel=0.05)


@with_torchao
def test_e10_a_device_that_cannot_multiply_so_is_found_out_before_a_model_is_read() -> None:
    tried_on("cpu")
    with pytest.raises(BadInput, match="do not run on meta") as refused:
        tried_on("meta")
    assert refused.value.code == "weights_unsupported"
    found = {each.what: each for each in doctor.look({"NANOBANA_WEIGHTS": TORCHAO}, there=())}
    assert found["quantization"].state == "ok"
    assert "runs on cpu" in found["quantization"].text
