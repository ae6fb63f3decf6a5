"""What each model of the presets needs of a GPU's memory, computed from its architecture; nothing is downloaded or run.

    python benchmarks/sizes.py

The networks are built without weights, as their published configurations say (diffusers' defaults where those are the
model's own), and counted as the engine counts them: GB of weights in bfloat16 and in eight bits, what one edit at the
model's own size works in (`models/needs.py`), and the least budgets with which it runs: all in memory (`…_whole`), the
text encoders away between their calls (`…_aside`), and everything away that is not called (`…_least`).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from harness import hardware

from nanobana_engine.models.base import Component
from nanobana_engine.models.catalogue import Catalogue
from nanobana_engine.models.needs import needs_of
from nanobana_engine.models.sizes import ENCODER, NETWORK, sizes_of

GB = 1e9


def clip(width: int, layers: int, *, projects: bool = False) -> Any:
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

    config = CLIPTextConfig(
        hidden_size=width, intermediate_size=4 * width, num_hidden_layers=layers, num_attention_heads=width // 64,
        projection_dim=width, bos_token_id=0, eos_token_id=2, pad_token_id=1,
    )  # fmt: skip
    return (CLIPTextModelWithProjection if projects else CLIPTextModel)(config)


def qwen3_4b() -> Any:
    from transformers import Qwen3Config, Qwen3Model

    return Qwen3Model(
        Qwen3Config(
            vocab_size=151936, hidden_size=2560, intermediate_size=9728, num_hidden_layers=36, num_attention_heads=32,
            num_key_value_heads=8, head_dim=128,
        )
    )  # fmt: skip


def qwen25_vl_7b() -> Any:
    from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

    text = {
        "vocab_size": 152064, "hidden_size": 3584, "intermediate_size": 18944, "num_hidden_layers": 28,
        "num_attention_heads": 28, "num_key_value_heads": 4,
        "rope_parameters": {"rope_type": "default", "rope_theta": 1e6, "mrope_section": [16, 24, 24]},
    }  # fmt: skip
    seen = {"depth": 32, "hidden_size": 1280, "intermediate_size": 3420, "num_heads": 16, "out_hidden_size": 3584}
    return Qwen2_5_VLForConditionalGeneration(Qwen2_5_VLConfig(text_config=text, vision_config=seen))


def vae(channels: int) -> Any:
    from diffusers import AutoencoderKL

    return AutoencoderKL(
        block_out_channels=(128, 256, 512, 512), down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4, latent_channels=channels, layers_per_block=2,
    )  # fmt: skip


def sd15() -> dict[str, Any]:
    from diffusers import UNet2DConditionModel

    unet = UNet2DConditionModel(in_channels=9, cross_attention_dim=768, attention_head_dim=8)
    return {"text_encoder": clip(768, 12), "unet": unet, "vae": vae(4)}


def sdxl() -> dict[str, Any]:
    from diffusers import UNet2DConditionModel

    unet = UNet2DConditionModel(
        in_channels=9, block_out_channels=(320, 640, 1280), attention_head_dim=[5, 10, 20], cross_attention_dim=2048,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        transformer_layers_per_block=[1, 2, 10], use_linear_projection=True, addition_embed_type="text_time",
        addition_time_embed_dim=256, projection_class_embeddings_input_dim=2816,
    )  # fmt: skip
    return {"text_encoder": clip(768, 12), "text_encoder_2": clip(1280, 32, projects=True), "unet": unet, "vae": vae(4)}


def flux_fill() -> dict[str, Any]:
    from diffusers import FluxTransformer2DModel
    from transformers import T5Config, T5EncoderModel

    t5 = T5Config(
        d_model=4096, d_ff=10240, d_kv=64, num_heads=64, num_layers=24, vocab_size=32128, feed_forward_proj="gated-gelu"
    )
    network = FluxTransformer2DModel(in_channels=384, out_channels=64, guidance_embeds=True)
    return {"text_encoder": clip(768, 12), "text_encoder_2": T5EncoderModel(t5), "transformer": network, "vae": vae(16)}


def klein() -> dict[str, Any]:
    from diffusers import AutoencoderKLFlux2, Flux2Transformer2DModel

    network = Flux2Transformer2DModel(
        num_layers=5, num_single_layers=20, num_attention_heads=24, joint_attention_dim=7680, guidance_embeds=False
    )
    return {"text_encoder": qwen3_4b(), "transformer": network, "vae": AutoencoderKLFlux2()}


def zimage() -> dict[str, Any]:
    from diffusers import ZImageTransformer2DModel

    return {"text_encoder": qwen3_4b(), "transformer": ZImageTransformer2DModel(), "vae": vae(16)}


def qwen_edit() -> dict[str, Any]:
    from diffusers import AutoencoderKLQwenImage, QwenImageTransformer2DModel

    return {
        "text_encoder": qwen25_vl_7b(),
        "transformer": QwenImageTransformer2DModel(),
        "vae": AutoencoderKLQwenImage(),
    }


MODELS: dict[str, Callable[[], dict[str, Any]]] = {
    "sd15-inpaint": sd15,
    "sdxl-inpaint": sdxl,
    "z-image-turbo": zimage,
    "flux2-klein": klein,
    "flux-fill": flux_fill,
    "qwen-image-edit": qwen_edit,
}


class Counted:
    """As much of an adapter as is counted."""

    def __init__(self, preset: Any, parts: dict[str, Any]) -> None:
        self.preset = preset
        self._parts = parts

    def components(self) -> list[Component]:
        return [Component(name, part) for name, part in self._parts.items()]


def counted(name: str, parts: dict[str, Any]) -> dict[str, float]:
    preset = Catalogue.read().preset(name)
    shapes = {part: [tuple(each.shape) for each in module.parameters()] for part, module in parts.items()}
    works = needs_of(Counted(preset, parts), preset.native, preset.native).most  # type: ignore[arg-type]
    figures = {"works": works / GB}
    for kind, facts in (("bf16", preset), ("int8", replace(preset, weights="int8"))):
        sizes = sizes_of(shapes, facts, "cuda").parts
        encoders = [size for part, size in sizes.items() if part.startswith(ENCODER)]
        network = sum(size for part, size in sizes.items() if part.startswith(NETWORK))
        rest = sum(sizes.values()) - sum(encoders) - network
        figures |= {
            f"{kind}_encoders": sum(encoders) / GB,
            f"{kind}_network": network / GB,
            f"{kind}_whole": (sum(sizes.values()) + works) / GB,
            f"{kind}_aside": (rest + network + max(*encoders, works)) / GB,
            f"{kind}_least": (rest + max(*encoders, network + works)) / GB,
        }
    return {each: round(value, 1) for each, value in figures.items()}


def main() -> None:
    torch.set_default_dtype(torch.bfloat16)
    with torch.device("meta"):
        found = {name: counted(name, make()) for name, make in MODELS.items()}
    print(json.dumps({**found, "hardware": hardware()}))


if __name__ == "__main__":
    main()
