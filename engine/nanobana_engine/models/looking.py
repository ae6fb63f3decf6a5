"""What the adapters of editing models share: the network looks at the picture as it stands, and at references.

What is looked at follows the noise as further tokens, with positions of its own; nothing of it comes out again.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor

from nanobana_engine.models.base import Item, Pixels, Request
from nanobana_engine.models.dit import DitAdapter, Row, pack

MEGAPIXEL = 1024 * 1024
"""The largest area of a picture that a network looks at; larger ones are shrunk, as in the models' training."""


@dataclass(frozen=True, slots=True)
class LookingConditioning:
    """What the network is told of one edit."""

    prompt: Tensor
    """[tokens, width]."""
    negative: Tensor | None
    """The same of what to avoid; None where the model knows no guidance."""
    seen: tuple[Tensor, ...]
    """Latents of the pictures that it looks at, [C, h, w] each: what stands there, then the references."""


class LookingAdapter(DitAdapter):
    """A family says how a picture of any size is brought to one that its VAE takes."""

    @abstractmethod
    def _brought(self, image: Image.Image) -> Image.Image:
        """A picture of at most about a megapixel with sides that the network takes."""

    def _look(self, stands: Pixels, references: Sequence[Image.Image]) -> tuple[Tensor, ...]:
        """Latents of what stands there, in its own size up to a megapixel, and of the references."""
        is_large = stands.shape[0] * stands.shape[1] > MEGAPIXEL
        pixels = [_pixels(self._brought(as_image(stands))) if is_large else stands]
        return tuple(self.encode(one) for one in [*pixels, *(_pixels(self._brought(one)) for one in references)])

    def _tokens(self, item: Item) -> int:
        return sum(height * width // 4 for height, width in sizes(item))

    def call_key(self, item: Item) -> tuple[object, ...]:
        """Pictures looked at have positions too: items that look at pictures of the same sizes share a call."""
        return (self.preset.family, *sizes(item))

    def _packed(self, rows: Sequence[Row]) -> Tensor:
        """Each row's noise and, behind it, what it looks at: [B, tokens, 4C]."""
        layers = zip(*((row.item.latents, *row.item.conditioning.seen) for row in rows), strict=True)
        dtype: torch.dtype = self._transformer.dtype
        return torch.cat([pack(torch.stack(layer)) for layer in layers], dim=1).to(self.device, dtype)

    def _words_of(self, rows: Sequence[Row]) -> list[Tensor]:
        """Each row's words, [tokens, width]."""
        dtype: torch.dtype = self._transformer.dtype
        given = [row.item.conditioning.negative if row.avoids else row.item.conditioning.prompt for row in rows]
        return [words.to(self.device, dtype) for words in given]


def now(request: Request) -> Pixels:
    """What the network is shown as the picture: what stands there, or what an earlier stage made of it."""
    return request.pixels if request.previous is None else request.previous


def sizes(item: Item) -> list[tuple[int, int]]:
    """Height and width in latents of an item and of what it looks at."""
    return [(int(one.shape[-2]), int(one.shape[-1])) for one in (item.latents, *item.conditioning.seen)]


def as_image(pixels: Pixels) -> Image.Image:
    """[H, W, 3] in 0..1 as what pipelines take."""
    return Image.fromarray(np.rint(np.clip(pixels, 0, 1) * 255).astype(np.uint8))


def on_white(reference: npt.NDArray[np.uint8]) -> Image.Image:
    """A reference [h, w, 4] without its transparency: networks know none, and cut-outs stand on white."""
    flat = Image.new("RGBA", (reference.shape[1], reference.shape[0]), "white")
    flat.alpha_composite(Image.fromarray(np.ascontiguousarray(reference)))
    return flat.convert("RGB")


def _pixels(image: Image.Image) -> Pixels:
    return np.asarray(image, np.float32) / np.float32(255.0)
