"""One tiny model of each family, with the adapter that runs it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nanobana_engine.models.flux_fill import FluxFillAdapter
from nanobana_engine.models.klein import KleinAdapter
from nanobana_engine.models.preset import Preset
from nanobana_engine.models.qwen_edit import QwenEditAdapter
from nanobana_engine.models.sd.adapter import SdAdapter
from nanobana_engine.models.sd.xl import SdxlAdapter
from nanobana_engine.models.zimage import ZImageAdapter
from support import tiny, tiny_dit

FACTS = Preset(name="tiny", native=64, min_side=32, max_side=64)
FAMILIES: dict[str, tuple[Callable[[], Any], Any]] = {
    "sd": (tiny.sd_pipeline, SdAdapter),
    "sdxl": (tiny.sdxl_pipeline, SdxlAdapter),
    "z-image": (tiny_dit.zimage, ZImageAdapter),
    "flux-fill": (tiny_dit.flux_fill, FluxFillAdapter),
    "klein": (tiny_dit.klein, KleinAdapter),
    "qwen-image-edit": (tiny_dit.qwen_edit, QwenEditAdapter),
}
SD_LAYER = "down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_k"
"""A linear layer of the networks of Stable Diffusion among them."""
