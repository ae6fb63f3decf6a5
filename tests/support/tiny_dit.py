"""Whole pipelines of the large families at a few thousand random weights, text encoders and tokenizers included."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from support.tiny import WORDS, clip_encoder, clip_tokenizer

SPECIAL = ("<pad>", "<unk>", "<|vision_start|>", "<|image_pad|>", "<|vision_end|>")
TEMPLATE = "{% for message in messages %}{{ message['content'] }}{% endfor %}"


def _tokenizer(most: int = 1024) -> Any:
    from tokenizers import AddedToken, Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace
    from transformers import PreTrainedTokenizerFast

    words = Tokenizer(WordLevel({w: n for n, w in enumerate([*SPECIAL, *WORDS])}, unk_token="<unk>"))
    words.pre_tokenizer = Whitespace()
    words.add_special_tokens([AddedToken(token, special=True) for token in SPECIAL])
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=words, pad_token="<pad>", unk_token="<unk>", model_max_length=most
    )
    tokenizer.chat_template = TEMPLATE
    return tokenizer


def _random(network: Any, std: float = 0.1) -> Any:
    """Weights at which every part of the network matters; fresh ones are zero in places."""
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=std)
    return network.eval()


def _scheduler(**facts: Any) -> Any:
    from diffusers import FlowMatchEulerDiscreteScheduler

    return FlowMatchEulerDiscreteScheduler(**facts)


def _quiet(pipeline: Any) -> Any:
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def _certain(vae: Any, last: Any) -> Any:
    """A VAE whose posterior has no width: a sample of it is its mode."""
    with torch.no_grad():
        last.weight[len(last.weight) // 2 :] = 0.0
        last.bias[len(last.bias) // 2 :] = -60.0
    return vae.eval()


def _begin() -> None:
    torch.manual_seed(0)
    torch.set_num_threads(1)


def _vae() -> Any:
    """Of FLUX.1 and Z-Image."""
    from diffusers import AutoencoderKL

    vae = AutoencoderKL(
        block_out_channels=(4, 4, 4, 4), down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4, latent_channels=16, layers_per_block=1, norm_num_groups=2,
        scaling_factor=0.36, shift_factor=0.12, use_quant_conv=False, use_post_quant_conv=False,
    )  # fmt: skip
    return _certain(vae, vae.encoder.conv_out)


def _qwen3(layers: int) -> Any:
    from transformers import Qwen3Config, Qwen3ForCausalLM

    return Qwen3ForCausalLM(
        Qwen3Config(
            vocab_size=16, hidden_size=16, intermediate_size=16, num_hidden_layers=layers, num_attention_heads=2,
            num_key_value_heads=2, head_dim=8,
        )
    ).eval()  # fmt: skip


def zimage() -> Any:
    from diffusers import ZImagePipeline, ZImageTransformer2DModel

    _begin()
    transformer = ZImageTransformer2DModel(
        in_channels=16, dim=32, n_layers=2, n_refiner_layers=1, n_heads=2, n_kv_heads=2, cap_feat_dim=16,
        axes_dims=[8, 4, 4], axes_lens=[256, 32, 32],
    )  # fmt: skip
    return _quiet(ZImagePipeline(_scheduler(shift=3.0), _vae(), _qwen3(2).model, _tokenizer(), _random(transformer)))


def flux_fill() -> Any:
    from diffusers import FluxFillPipeline, FluxTransformer2DModel
    from transformers import T5Config, T5EncoderModel

    _begin()
    transformer = FluxTransformer2DModel(
        in_channels=384, out_channels=64, num_layers=1, num_single_layers=1, attention_head_dim=16,
        num_attention_heads=2, joint_attention_dim=16, pooled_projection_dim=16, guidance_embeds=True,
        axes_dims_rope=(4, 6, 6),
    )  # fmt: skip
    t5 = T5EncoderModel(T5Config(vocab_size=16, d_model=16, d_kv=8, d_ff=16, num_layers=1, num_heads=2)).eval()
    return _quiet(
        FluxFillPipeline(
            _scheduler(use_dynamic_shifting=True), _vae(), clip_encoder(16), clip_tokenizer(), t5, _tokenizer(512),
            _random(transformer),
        )
    )  # fmt: skip


def klein(*, is_distilled: bool = True, inpaint: bool = False) -> Any:
    from diffusers import (
        AutoencoderKLFlux2,
        Flux2KleinInpaintPipeline,
        Flux2KleinPipeline,
        Flux2Transformer2DModel,
    )

    _begin()
    vae = AutoencoderKLFlux2(
        block_out_channels=(4, 4, 4, 4), layers_per_block=1, norm_num_groups=2, latent_channels=8, sample_size=64
    )
    vae.bn.running_mean.normal_(std=0.3)
    vae.bn.running_var.uniform_(0.5, 2.0)
    transformer = Flux2Transformer2DModel(
        in_channels=32, num_layers=1, num_single_layers=1, attention_head_dim=16, num_attention_heads=2,
        joint_attention_dim=48, timestep_guidance_channels=16, axes_dims_rope=(4, 4, 4, 4), guidance_embeds=False,
    )  # fmt: skip
    made = Flux2KleinInpaintPipeline if inpaint else Flux2KleinPipeline
    return _quiet(
        made(
            _scheduler(use_dynamic_shifting=True), vae.eval(), _qwen3(27), _tokenizer(), _random(transformer),
            is_distilled=is_distilled,
        )
    )  # fmt: skip


def _qwen_vl(tokenizer: Any) -> Any:
    from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

    start, image, end = (tokenizer.convert_tokens_to_ids(token) for token in SPECIAL[2:])
    return Qwen2_5_VLForConditionalGeneration(
        Qwen2_5_VLConfig(
            text_config={
                "vocab_size": 16, "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1,
                "num_attention_heads": 2, "num_key_value_heads": 2,
                "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [2, 1, 1]},
            },
            vision_config={
                "depth": 1, "hidden_size": 16, "intermediate_size": 16, "num_heads": 2, "out_hidden_size": 16,
                "fullatt_block_indexes": [0],
            },
            vision_start_token_id=start, image_token_id=image, vision_end_token_id=end, video_token_id=15,
        )
    ).eval()  # fmt: skip


def qwen_edit(name: str = "QwenImageEditPipeline", *, strides: Sequence[bool] = (False, True, True)) -> Any:
    """
    Args:
        name: the pipeline's class.
        strides: one entry for every halving of the picture by the VAE.
    """
    import diffusers
    from diffusers import AutoencoderKLQwenImage, QwenImageTransformer2DModel
    from transformers import Qwen2VLImageProcessorPil

    from nanobana_engine.models.qwen_words import PictureWords

    _begin()
    tokenizer = _tokenizer()
    vae = AutoencoderKLQwenImage(
        base_dim=2, z_dim=4, dim_mult=[1] * (len(strides) + 1), num_res_blocks=1, temperal_downsample=list(strides),
        latents_mean=[0.1, -0.2, 0.3, 0.0], latents_std=[1.5, 0.7, 1.1, 0.9],
    )  # fmt: skip
    transformer = QwenImageTransformer2DModel(
        in_channels=16, out_channels=4, num_layers=2, attention_head_dim=16, num_attention_heads=2,
        joint_attention_dim=16, axes_dims_rope=(4, 6, 6),
    )  # fmt: skip
    processor = PictureWords(tokenizer, Qwen2VLImageProcessorPil(min_pixels=28 * 28, max_pixels=56 * 56))
    return _quiet(
        getattr(diffusers, name)(
            _scheduler(use_dynamic_shifting=True, shift_terminal=0.02), _certain(vae, vae.quant_conv),
            _qwen_vl(tokenizer), tokenizer, processor, _random(transformer),
        )
    )  # fmt: skip


def save(pipeline: Any, folder: Path) -> None:
    """Write a pipeline as diffusers does, and the processor that it would have written with it."""
    processor = pipeline.components.get("processor")
    if processor is None:
        pipeline.save_pretrained(folder)
        return
    pipeline.processor = None
    try:
        pipeline.save_pretrained(folder)
    finally:
        pipeline.processor = processor
    processor.image_processor.save_pretrained(folder / "processor")
