"""Models for tests of the seam, none of them a product: what they answer is known beforehand, or tiny and random."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from nanobana_engine.engine.lab import from_lab, to_lab
from nanobana_engine.models.base import Component, Conditioning, FlowSteps, Item, Pixels, Preset, Request


def preset(**changes: Any) -> Preset:
    """A model that takes anything from 32 to 512 px at scale 1, one latent cell a pixel."""
    facts: dict[str, Any] = {
        "name": "test",
        "native": 128,
        "min_side": 32,
        "max_side": 512,
        "multiple": 8,
        "latent_stride": 1,
        "grow_scale": 0.5,
        "steps": {"draft": 3, "balanced": 4, "best": 6},
    }
    return Preset(**{**facts, **changes})


class PixelAdapter(FlowSteps):
    """Latents are the pixels themselves; predicts what `answer` makes of the request: by default what stands there."""

    def __init__(self, facts: Preset | None = None, *, step_s: float = 0.0) -> None:
        self.preset = facts or preset()
        self.step_s = step_s
        self.calls: list[int] = []
        """Number of items of each `denoise` call."""

    def components(self) -> list[Component]:
        return []

    def answer(self, request: Request) -> Pixels:
        return request.pixels

    def condition(self, request: Request) -> Conditioning:
        return self.encode(self.answer(request))

    def encode(self, pixels: Pixels) -> torch.Tensor:
        return torch.from_numpy(np.ascontiguousarray(np.moveaxis(pixels, -1, 0)))

    def sigmas(self, steps: int, strength: float, size: tuple[int, int]) -> list[float]:
        del size
        return [float(s) for s in np.linspace(strength, 0.0, max(3, steps) + 1)]

    def call_key(self, item: Item) -> tuple[object, ...]:
        return tuple(item.latents.shape)

    def cost(self, item: Item) -> float:
        height, width = item.latents.shape[1:]
        return float(height * width) / self.preset.native**2

    def denoise(self, items: Sequence[Item]) -> list[torch.Tensor]:
        self.calls.append(len(items))
        time.sleep(self.step_s)
        return [item.conditioning.clone() for item in items]

    def decode(self, latents: torch.Tensor) -> Pixels:
        pixels: Pixels = np.moveaxis(latents.numpy(), 0, -1).astype(np.float32)
        return pixels

    def preview(self, latents: torch.Tensor) -> npt.NDArray[np.uint8]:
        return np.rint(np.clip(self.decode(latents), 0, 1) * 255).astype(np.uint8)


class PaintAdapter(PixelAdapter):
    """Paints everything that it may in one colour, whatever stands there."""

    def __init__(self, colour: tuple[float, float, float], facts: Preset | None = None, *, step_s: float = 0.0) -> None:
        super().__init__(facts, step_s=step_s)
        self.colour = colour

    def answer(self, request: Request) -> Pixels:
        return np.broadcast_to(np.array(self.colour, np.float32), request.pixels.shape).copy()


class CastAdapter(PixelAdapter):
    """Returns what stands there, lighter by some L: a colour cast."""

    def __init__(self, lighter: float, facts: Preset | None = None) -> None:
        super().__init__(facts)
        self.lighter = lighter

    def answer(self, request: Request) -> Pixels:
        return from_lab(to_lab(request.pixels) + np.array([self.lighter, 0, 0], np.float32))


class BrokenAdapter(PixelAdapter):
    """Fails in `denoise` whenever an edit with this prompt takes part."""

    def __init__(self, prompt: str) -> None:
        super().__init__()
        self.prompt = prompt

    def condition(self, request: Request) -> Conditioning:
        latents = self.encode(request.pixels)
        latents.is_broken = request.prompt == self.prompt  # type: ignore[attr-defined]
        return latents

    def denoise(self, items: Sequence[Item]) -> list[torch.Tensor]:
        if any(item.conditioning.is_broken for item in items):
            raise RuntimeError("broken on purpose")
        return super().denoise(items)


class TinyUNetAdapter(PixelAdapter):
    """A diffusers UNet of a few thousand random weights behind the seam: real tensors, real batching."""

    def __init__(self) -> None:
        super().__init__(preset(latent_stride=4, multiple=16))
        from diffusers import UNet2DModel

        torch.manual_seed(0)
        self._net: Any = UNet2DModel(
            in_channels=48,
            out_channels=48,
            block_out_channels=(16, 32),
            layers_per_block=1,
            down_block_types=("DownBlock2D", "AttnDownBlock2D"),
            up_block_types=("AttnUpBlock2D", "UpBlock2D"),
            norm_num_groups=4,
            attention_head_dim=8,
        ).eval()

    def encode(self, pixels: Pixels) -> torch.Tensor:
        planes = torch.from_numpy(np.ascontiguousarray(np.moveaxis(pixels, -1, 0)))
        return torch.nn.functional.pixel_unshuffle(planes, 4)

    def decode(self, latents: torch.Tensor) -> Pixels:
        planes = torch.nn.functional.pixel_shuffle(latents, 4)
        pixels: Pixels = np.clip(np.moveaxis(planes.numpy(), 0, -1), 0, 1).astype(np.float32)
        return pixels

    def denoise(self, items: Sequence[Item]) -> list[torch.Tensor]:
        self.calls.append(len(items))
        noisy = torch.stack([item.latents for item in items])
        levels = torch.tensor([item.sigma for item in items]) * 1000
        return list(self._net(noisy, levels).sample)
