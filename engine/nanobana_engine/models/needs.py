"""What a model works in beside its weights: estimated from sizes before a run (E10).

The constants are peaks over the largest activation of a kind, as measured on a CPU; a GPU's allocator needs no more.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch

from nanobana_engine.models.base import Component, ModelAdapter

VAE_DECODE, VAE_ENCODE = 4.5, 5.25
"""Copies of the widest plane at full size that a VAE has at once: input, normalised, activated, output."""
UNET_ATTENDS, UNET_CONVOLVES = 32.0, 40.0
"""Planes as wide as the first level: gated feed-forward where it attends, the joined skip where it does not."""
TRANSFORMER = 20.0
"""Widths a token: queries, keys, values, the feed-forward's inside and what is added, for two streams."""
TEXT_TOKENS = 512
REORDERED = 1.2
"""Of the largest weight: what a library turns around before it multiplies."""
BASE = 8 << 20
"""Bytes of a call however small the picture."""


@dataclass(frozen=True, slots=True)
class Needs:
    """Bytes that one call works in, for one picture."""

    encode: int = 0
    denoise: int = 0
    """Of each row; a guided item is two."""
    decode: int = 0

    @property
    def most(self) -> int:
        return max(self.encode, self.denoise, self.decode)


@runtime_checkable
class SaysNeeds(Protocol):
    """An adapter that knows better than its components' shapes do."""

    def needs(self, width: int, height: int) -> Needs:
        """For a picture of these sides in pixels."""
        ...


def needs_of(adapter: ModelAdapter, width: int, height: int) -> Needs:
    """What an adapter's calls work in for a picture of these sides; nothing where its parts are of no known kind."""
    if isinstance(adapter, SaysNeeds):
        return adapter.needs(width, height)
    stride = adapter.preset.latent_stride
    cells = -(-width // stride) * -(-height // stride)
    parts = [_part(part, width * height, cells) for part in adapter.components()]
    return Needs(*(max((getattr(part, name) for part in parts), default=0) for name in ("encode", "denoise", "decode")))


def weight_bytes(components: Iterable[Component]) -> int:
    """Of all weights as they are now, whatever they are stored as."""
    return sum(component.bytes for component in components)


def _part(component: Component, pixels: int, cells: int) -> Needs:
    config: Any = getattr(component.module, "config", None)
    item = _item_bytes(component.module)
    if item == 0 or config is None:
        return Needs()
    if getattr(config, "block_out_channels", None) and hasattr(component.module, "decode"):
        widths = config.block_out_channels
        return Needs(
            encode=BASE + int(VAE_ENCODE * pixels * widths[0] * item),
            decode=BASE + int(VAE_DECODE * pixels * widths[min(1, len(widths) - 1)] * item),
        )
    if getattr(config, "base_dim", None) and hasattr(component.module, "decode"):
        return Needs(
            encode=BASE + int(VAE_ENCODE * pixels * config.base_dim * item),
            decode=BASE + int(VAE_DECODE * pixels * 2 * config.base_dim * item),
        )
    if getattr(config, "down_block_types", None):
        return Needs(denoise=BASE + max(_unet(config, cells, item), _reordered(component.module)))
    width = _transformer_width(config)
    if width and component.name.startswith("transformer"):
        return Needs(denoise=BASE + int(TRANSFORMER * (cells // 4 + TEXT_TOKENS) * width * item))
    return Needs()


def _unet(config: Any, cells: int, item: int) -> int:
    """Skips of the way down, held until the way up, and the first level's work."""
    widths, layers = config.block_out_channels, config.layers_per_block
    layers = layers if isinstance(layers, int) else max(layers)
    skips = sum((cells >> 2 * level) * width * (layers + 1) for level, width in enumerate(widths))
    copies = UNET_ATTENDS if "Attn" in config.down_block_types[0] else UNET_CONVOLVES
    return int((skips + copies * cells * widths[0]) * item)


def _transformer_width(config: Any) -> int:
    heads, size = getattr(config, "num_attention_heads", None), getattr(config, "attention_head_dim", None)
    if isinstance(heads, int) and isinstance(size, int):
        return heads * size
    width = getattr(config, "dim", None)
    return width if isinstance(width, int) else 0


def _reordered(module: torch.nn.Module) -> int:
    return int(REORDERED * max((each.numel() * each.element_size() for each in module.parameters()), default=0))


def _item_bytes(module: torch.nn.Module) -> int:
    """Of one activation: as the first weight in floating point is."""
    return next((each.element_size() for each in module.parameters() if each.is_floating_point()), 0)
