"""Z-Image through the engine's runner is diffusers' own pipeline, and its batches may be ragged (E4, E7, E11)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from nanobana.protocol.errors import BadInput, NotFound
from nanobana.protocol.geometry import Box
from nanobana_engine.models import registry
from nanobana_engine.models.base import Item, ModelAdapter, Request
from nanobana_engine.models.zimage import ZImageAdapter, ZImageConditioning
from nanobana_engine.runner import Runner
from nanobana_engine.runner.noise import stage_noise

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
WORDS = ["a", "red", "apple", "tree", "no"]
TEMPLATE = "{% for message in messages %}{{ message['content'] }}{% endfor %}"


def _tiny() -> Any:
    """A whole `ZImagePipeline` at random weights, its text encoder and tokenizer included."""
    from diffusers import AutoencoderKL, FlowMatchEulerDiscreteScheduler, ZImagePipeline, ZImageTransformer2DModel
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace
    from transformers import PreTrainedTokenizerFast, Qwen3Config, Qwen3Model

    torch.manual_seed(0)
    torch.set_num_threads(1)
    words = Tokenizer(WordLevel({w: n for n, w in enumerate(["<pad>", "<unk>", *WORDS])}, unk_token="<unk>"))
    words.pre_tokenizer = Whitespace()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=words, pad_token="<pad>", unk_token="<unk>")
    tokenizer.chat_template = TEMPLATE
    transformer = ZImageTransformer2DModel(
        in_channels=16, dim=32, n_layers=2, n_refiner_layers=1, n_heads=2, n_kv_heads=2, cap_feat_dim=16,
        axes_dims=[8, 4, 4], axes_lens=[256, 32, 32],
    )  # fmt: skip
    for parameter in transformer.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    vae = AutoencoderKL(
        block_out_channels=(4, 4, 4, 4), down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4, latent_channels=16, layers_per_block=1, norm_num_groups=2,
        scaling_factor=0.36, shift_factor=0.12, use_quant_conv=False, use_post_quant_conv=False,
    )  # fmt: skip
    encoder = Qwen3Model(
        Qwen3Config(
            vocab_size=8, hidden_size=16, intermediate_size=16, num_hidden_layers=2, num_attention_heads=2,
            num_key_value_heads=2, head_dim=8,
        )
    )  # fmt: skip
    pipeline = ZImagePipeline(FlowMatchEulerDiscreteScheduler(shift=3.0), vae, encoder.eval(), tokenizer, transformer)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


@pytest.fixture(scope="module")
def pipeline() -> Any:
    return _tiny()


def _request(prompt: str, size: tuple[int, int]) -> Request:
    pixels = np.random.default_rng(1).random((size[1], size[0], 3), np.float32)
    whole = np.ones((size[1], size[0]), np.float32)
    return Request(pixels=pixels, prefilled=pixels, mask=whole, user_mask=whole, prompt=prompt, negative="no", seed=5)


@pytest.mark.parametrize("guidance", [0.0, 2.5])
def test_E4_the_runner_and_diffusers_pipeline_reach_the_same_latents(pipeline: Any, guidance: float) -> None:
    adapter = ZImageAdapter(pipeline)
    assert isinstance(adapter, ModelAdapter)
    runner, size = Runner(adapter), (64, 48)
    one = runner.start(
        _request("a red apple", size), owner="e", steps=4, guidance=guidance, stage=0, frame=size, tile=Box(0, 0, *size)
    )
    while not one.is_done:
        runner.advance([one])
    theirs = pipeline(
        prompt="a red apple", negative_prompt="no", width=64, height=48, num_inference_steps=4,
        guidance_scale=guidance, latents=stage_noise(5, 0, (16, 6, 8))[None], output_type="latent",
    ).images[0]  # fmt: skip
    assert (one.latents - theirs).abs().max() < 1e-4
    assert (theirs - stage_noise(5, 0, (16, 6, 8))).abs().max() > 0.1
    image = pipeline(
        prompt="a red apple", negative_prompt="no", width=64, height=48, num_inference_steps=4,
        guidance_scale=guidance, latents=stage_noise(5, 0, (16, 6, 8))[None], output_type="np",
    ).images[0]  # fmt: skip
    assert np.abs(runner.decode(one) - image).max() < 1e-3
    assert runner.preview(one).shape == (48, 64, 3)


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


def test_E4_less_strength_begins_later_and_keeps_three_steps(pipeline: Any) -> None:
    adapter = ZImageAdapter(pipeline)
    whole, part = adapter.sigmas(8, 1.0, (512, 512)), adapter.sigmas(4, 0.3, (512, 512))
    assert len(whole) == 9
    assert whole[0] == pytest.approx(1.0)
    assert len(part) == 4
    assert 0.0 == part[-1] < part[0] < 1.0


def test_a_prompt_beyond_the_encoder_is_refused_before_any_work(pipeline: Any) -> None:
    with pytest.raises(BadInput, match="too long") as caught:
        ZImageAdapter(pipeline).condition(_request("apple " * 600, (64, 64)))
    assert caught.value.code == "prompt_too_long"


def test_a_folder_loads_by_its_class_and_half_a_download_says_what_is_missing(pipeline: Any, tmp_path: Path) -> None:
    pipeline.save_pretrained(tmp_path)
    loaded = registry.load(str(tmp_path), "cpu")
    request = _request("a tree", (64, 64))
    assert torch.equal(loaded.encode(request.pixels), ZImageAdapter(pipeline).encode(request.pixels))
    (tmp_path / "vae").rename(tmp_path / "elsewhere")
    with pytest.raises(NotFound, match="lacks vae") as caught:
        registry.load(str(tmp_path), "cpu")
    assert caught.value.code == "incomplete_model"
