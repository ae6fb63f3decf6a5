"""The nano adapter keeps the seam's promises: batch-invariant, deterministic, exact codec, refusals with a reason."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from nanobana.protocol.errors import BadInput
from nanobana_engine.assets.pack import PACK_PATH, AssetPack
from nanobana_engine.models.base import Item, ModelAdapter, Request
from nanobana_engine.models.nano import backgrounds
from nanobana_engine.models.nano.adapter import NanoAdapter
from nanobana_engine.models.nano.folder import WEIGHTS, load
from nanobana_engine.models.nano.network import SHARPNESS, predict

pytestmark = [
    pytest.mark.skipif(not PACK_PATH.exists(), reason="the asset pack is not built: make assets"),
    pytest.mark.skipif(not (WEIGHTS / "model_index.json").exists(), reason="no trained weights: make nano"),
]


@pytest.fixture(scope="module")
def adapter() -> NanoAdapter:
    torch.set_num_threads(1)
    return NanoAdapter.shipped()


def _request(
    prompt: str, kind: str = "brick", size: tuple[int, int] = (128, 128), seed: int = 3, variation: int = 0
) -> Request:
    height, width = size
    pixels = backgrounds.draw(kind, np.random.default_rng(5), max(size))[:height, :width]
    mask = np.zeros(size, np.float32)
    mask[height // 5 : -height // 5, width // 4 : -width // 4] = 1
    return Request(pixels=pixels, mask=mask, user_mask=mask, prompt=prompt, seed=seed, variation=variation)


def test_e9_the_first_layer_gives_the_same_whether_an_edits_constants_are_kept_or_not(adapter: NanoAdapter) -> None:
    whole = NanoAdapter(load(WEIGHTS), AssetPack(), keeps_constants=False)
    given = [
        adapter.condition(_request(prompt, kind)) for prompt, kind in (("a red apple", "brick"), ("a cat", "sand"))
    ]
    noise = torch.randn((2, 48, 32, 32), generator=torch.Generator().manual_seed(1))
    items = [Item(latents=noise[n], sigma=0.5 * (n + 1), conditioning=one) for n, one in enumerate(given)]
    for kept, computed in zip(adapter.denoise(items), whole.denoise(items), strict=True):
        assert torch.allclose(kept, computed, atol=1e-4)


def _item(adapter: NanoAdapter, request: Request, sigma: float = 1.0) -> Item:
    clean = adapter.encode(request.pixels)
    noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(request.seed))
    return Item(latents=(1 - sigma) * clean + sigma * noise, sigma=sigma, conditioning=adapter.condition(request))


def test_it_is_a_model_adapter(adapter: NanoAdapter) -> None:
    assert isinstance(adapter, ModelAdapter)
    assert adapter.preset.mask_share == 0.54


def test_the_codec_is_exact(adapter: NanoAdapter) -> None:
    pixels = _request("").pixels
    assert np.abs(adapter.decode(adapter.encode(pixels)) - pixels).max() < 1e-6


def test_e11_a_batch_of_different_edits_gives_what_each_gives_alone(adapter: NanoAdapter) -> None:
    items = [
        _item(adapter, _request("a cat", "grass", seed=1), 1.0),
        _item(adapter, _request("", "brick", seed=2), 0.5),
        _item(adapter, _request("two red balloons", "clouds", seed=3), 0.25),
        _item(adapter, _request("a dog", "field", size=(256, 256), seed=4), 0.75),
    ]
    assert len({adapter.call_key(item) for item in items}) == 1
    together = adapter.denoise(items)
    for item, one in zip(items, together, strict=True):
        alone = adapter.denoise([item])[0]
        assert alone.shape == item.latents.shape
        assert float((alone - one).abs().max()) < 1e-4


def test_e11_the_same_seed_gives_the_same_pixels_and_another_others(adapter: NanoAdapter) -> None:
    request = _request("an apple", "wood")
    first, again = (adapter.denoise([_item(adapter, request)])[0] for _ in range(2))
    other = adapter.denoise([_item(adapter, replace(request, seed=request.seed + 1))])[0]
    assert torch.equal(first, again)
    assert float((first - other).abs().mean()) > 0.01


@torch.inference_mode()
def test_e9_what_is_kept_of_the_first_layer_changes_nothing(adapter: NanoAdapter) -> None:
    item = _item(adapter, _request("a cat", "grass"), 0.25)
    unet = load().unet.to(memory_format=torch.channels_last)
    words = adapter._embed(item.conditioning.words)
    whole, _ = predict(
        unet,
        item.latents[None],
        torch.tensor([item.sigma]),
        item.conditioning.frame,
        words,
        SHARPNESS,
        keeps_grain=True,
    )
    first, again = (adapter.denoise([item])[0] for _ in range(2))
    assert float((first - whole[0]).abs().max()) < 1e-4
    assert torch.equal(first, again)


def test_what_lies_outside_the_hole_is_the_picture_itself(adapter: NanoAdapter) -> None:
    request = _request("a robot", "tiles", size=(192, 256))
    item = _item(adapter, request)
    drawn = adapter.decode(adapter.denoise([item])[0])
    outside = request.mask == 0
    assert np.abs(drawn - request.pixels)[outside].max() < 1e-5


def test_what_was_in_the_hole_has_no_influence(adapter: NanoAdapter) -> None:
    request = _request("a cat")
    scribbled = replace(request, pixels=np.where(request.mask[..., None] > 0, 0.9, request.pixels).astype(np.float32))
    one, other = (adapter.condition(r) for r in (request, scribbled))
    assert torch.equal(one.frame.tokens(), other.frame.tokens())


def test_an_unknown_prompt_is_refused_with_the_nearest_names(adapter: NanoAdapter) -> None:
    with pytest.raises(BadInput) as refused:
        adapter.condition(_request("a zorgon"))
    assert refused.value.code == "unknown_prompt"
    assert "Did you mean" in refused.value.message


def test_a_reference_picture_takes_the_place_of_the_prompts(adapter: NanoAdapter) -> None:
    picture = np.zeros((40, 40, 4), np.uint8)
    picture[5:35, 5:35] = (255, 0, 255, 255)
    conditioning = adapter.condition(replace(_request("my logo zorgon"), references=(picture,)))
    red, green, blue, alpha = conditioning.frame.reference[0]
    inside = alpha > 0.99
    assert int(inside.sum()) > 400
    assert float((red - blue)[inside].abs().max()) < 0.02
    assert float(green[inside].max()) < 0.02


@pytest.mark.parametrize(("steps", "strength"), [(1, 1.0), (4, 1.0), (6, 0.4)])
def test_there_are_at_least_three_falling_steps_that_end_at_zero(
    adapter: NanoAdapter, steps: int, strength: float
) -> None:
    sigmas = adapter.sigmas(steps, strength, (128, 128))
    assert len(sigmas) >= 4
    assert sigmas[0] == strength
    assert sigmas[-1] == 0
    assert sigmas == sorted(sigmas, reverse=True)


def test_a_large_region_is_composed_at_its_own_size(adapter: NanoAdapter) -> None:
    item = _item(adapter, _request("", "brick", size=(384, 384)))
    assert item.conditioning.frame_size == (128, 128)
    assert adapter.denoise([item])[0].shape == (48, 96, 96)
    assert adapter.preview(item.latents).shape == (192, 192, 3)
    assert adapter.cost(item) < 1.2


def test_e11_an_edit_that_was_prepared_for_is_the_same_as_one_that_was_not(adapter: NanoAdapter) -> None:
    request = replace(_request("a cat", "field", size=(256, 256)), seed=5)
    other = NanoAdapter.shipped()
    other.prepare(replace(request, prompt="", seed=0), lambda: True)
    ahead, fresh = other.condition(request), adapter.condition(request)
    assert torch.equal(ahead.guesses, fresh.guesses)
    assert torch.equal(ahead.frame.tokens(), fresh.frame.tokens())
