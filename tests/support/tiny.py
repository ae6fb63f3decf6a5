"""Whole pipelines of diffusers at random weights, a few thousand of them: the real classes, small enough for a test."""

from __future__ import annotations

from typing import Any

import torch

WORDS = ["a", "red", "apple", "tree", "no", "in", "snow"]


def clip_tokenizer(length: int = 77) -> Any:
    """Knows WORDS, and frames them as CLIP's tokenizer does."""
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace
    from tokenizers.processors import TemplateProcessing
    from transformers import PreTrainedTokenizerFast

    vocabulary = {word: n for n, word in enumerate(["<s>", "<unk>", *WORDS, "</s>"])}
    words = Tokenizer(WordLevel(vocabulary, unk_token="<unk>"))
    words.pre_tokenizer = Whitespace()
    words.post_processor = TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", vocabulary["</s>"])]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=words, bos_token="<s>", eos_token="</s>", pad_token="</s>", unk_token="<unk>",
        model_max_length=length,
    )  # fmt: skip


def clip_encoder(width: int, *, projects: bool = False, length: int = 77) -> Any:
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

    config = CLIPTextConfig(
        vocab_size=len(WORDS) + 3, hidden_size=width, intermediate_size=2 * width, num_hidden_layers=3,
        num_attention_heads=2, projection_dim=width, max_position_embeddings=length, bos_token_id=0,
        eos_token_id=len(WORDS) + 2, pad_token_id=len(WORDS) + 2,
    )  # fmt: skip
    return (CLIPTextModelWithProjection if projects else CLIPTextModel)(config).eval()


def vae(latent_channels: int = 4, **more: Any) -> Any:
    """8 pixels to a latent cell."""
    from diffusers import AutoencoderKL

    return AutoencoderKL(
        block_out_channels=(4, 4, 4, 4), down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4, latent_channels=latent_channels, layers_per_block=1,
        norm_num_groups=2, **more,
    ).eval()  # fmt: skip


def calm_vae(seed: int = 0) -> Any:
    """One whose blocks add little to what goes through them, as trained ones do: parts need a small halo only."""
    torch.manual_seed(seed)
    net = vae()
    with torch.no_grad():
        for name, weights in net.named_parameters():
            if ".conv2." in name or ".to_out." in name:
                weights.mul_(0.1)
    return net


def tiny_vae(latent_channels: int = 4) -> Any:
    """An `AutoencoderTiny`: 8 pixels to a latent cell."""
    from diffusers import AutoencoderTiny

    torch.manual_seed(1)
    return AutoencoderTiny(
        latent_channels=latent_channels, encoder_block_out_channels=(8,) * 4, decoder_block_out_channels=(8,) * 4
    ).eval()


def unet(channels: int, width: int, **more: Any) -> Any:
    """Two levels with attention to the prompt."""
    from diffusers import UNet2DConditionModel

    return UNet2DConditionModel(
        in_channels=channels, out_channels=4, block_out_channels=(8, 16), layers_per_block=1, norm_num_groups=4,
        attention_head_dim=2, cross_attention_dim=width, sample_size=8,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"), up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        **more,
    ).eval()  # fmt: skip


def sd_scheduler(**config: Any) -> Any:
    """With the levels of Stable Diffusion."""
    from diffusers import PNDMScheduler

    facts = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "steps_offset": 1}
    return PNDMScheduler(**{**facts, "skip_prk_steps": True, **config})


def sd_pipeline(channels: int = 9, *, seed: int = 0, **scheduler: Any) -> Any:
    """A `StableDiffusionInpaintPipeline` with a UNet of 4 or 9 channels."""
    from diffusers import StableDiffusionInpaintPipeline

    torch.manual_seed(seed)
    pipeline = StableDiffusionInpaintPipeline(
        vae=vae(), text_encoder=clip_encoder(16), tokenizer=clip_tokenizer(), unet=unet(channels, 16),
        scheduler=sd_scheduler(**scheduler), safety_checker=None, feature_extractor=None, requires_safety_checker=False,
    )  # fmt: skip
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def sdxl_pipeline(channels: int = 9, *, seed: int = 0, **scheduler: Any) -> Any:
    """A `StableDiffusionXLInpaintPipeline`."""
    from diffusers import StableDiffusionXLInpaintPipeline

    torch.manual_seed(seed)
    conditioned = unet(
        channels, 32, addition_embed_type="text_time", addition_time_embed_dim=8,
        projection_class_embeddings_input_dim=16 + 6 * 8, use_linear_projection=True,
    )  # fmt: skip
    pipeline = StableDiffusionXLInpaintPipeline(
        vae=vae(), text_encoder=clip_encoder(16), text_encoder_2=clip_encoder(16, projects=True),
        tokenizer=clip_tokenizer(), tokenizer_2=clip_tokenizer(), unet=conditioned, scheduler=sd_scheduler(**scheduler),
    )  # fmt: skip
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def sd3_pipeline(*, seed: int = 0) -> Any:
    """A `StableDiffusion3InpaintPipeline` without its largest text encoder, which it can do without."""
    from diffusers import FlowMatchEulerDiscreteScheduler, SD3Transformer2DModel, StableDiffusion3InpaintPipeline

    torch.manual_seed(seed)
    transformer = SD3Transformer2DModel(
        sample_size=32, patch_size=2, in_channels=16, num_layers=1, attention_head_dim=8, num_attention_heads=2,
        joint_attention_dim=32, caption_projection_dim=16, pooled_projection_dim=32, out_channels=16,
        pos_embed_max_size=32,
    )  # fmt: skip
    pipeline = StableDiffusion3InpaintPipeline(
        transformer=transformer.eval(), scheduler=FlowMatchEulerDiscreteScheduler(), vae=vae(16, shift_factor=0.06),
        text_encoder=clip_encoder(16, projects=True), tokenizer=clip_tokenizer(),
        text_encoder_2=clip_encoder(16, projects=True), tokenizer_2=clip_tokenizer(),
        text_encoder_3=None, tokenizer_3=None,
    )  # fmt: skip
    pipeline.set_progress_bar_config(disable=True)
    return pipeline
