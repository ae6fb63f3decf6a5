"""The adapter of nano: the seam `ModelAdapter`, with any region size answered by one pass at the network's own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from nanobana.protocol.errors import BadInput
from nanobana_engine.assets.meaning import UnknownPrompt
from nanobana_engine.assets.pack import AssetPack
from nanobana_engine.assets.retrieve import Retriever
from nanobana_engine.memory import Memory
from nanobana_engine.models.base import Component, Conditioning, FlowSteps, Item, Pixels, Preset, Request
from nanobana_engine.models.catalogue import Catalogue
from nanobana_engine.models.nano.around import hole_of, planes, region_of
from nanobana_engine.models.nano.codec import NATIVE, patchify, to_model, to_pixels, unpatchify
from nanobana_engine.models.nano.conditioning import NanoKept, condition, reference_layer, understand, wish
from nanobana_engine.models.nano.denoiser import Denoiser
from nanobana_engine.models.nano.folder import WEIGHTS, Parts, load
from nanobana_engine.models.nano.guesses import Guesses
from nanobana_engine.models.nano.network import Mixture
from nanobana_engine.models.nano.text import encode, token_ids
from nanobana_engine.models.needs import BASE, Needs
from nanobana_engine.models.recent import Recent

LEAST_STEPS = 3
KEEPS_BELOW = 0.95
"""Strength under which what stands in the hole is kept beneath what the prompt adds."""
GRAIN_BELOW = 0.4
"""Noise level under which the grain is kept: the last step's answer is the picture, earlier ones pass."""
PREVIEW_SIDE = 256
GUESSES_SHARE = 0.3
"""Of what is remembered."""
KEPT_COST = 0.1
"""Of a step in which the network is not asked: a tile of 1024² is copied and its noise taken away."""
GUESSING, COMPOSING = 180, 48
"""Bytes a pixel of the region, as measured: guesses and what is around the hole; mixing them at the region's size."""


class NanoAdapter(FlowSteps):
    """Holds the weights and the asset pack; calls come from one thread, and no call changes what another returns.

    Args:
        keeps_constants: whether the network's first layer computes an edit's constant inputs once (`Denoiser`).
    """

    prepares_briefly = True

    def __init__(
        self,
        parts: Parts,
        pack: AssetPack,
        device: torch.device | str = "cpu",
        preset: Preset | None = None,
        *,
        keeps_constants: bool = True,
    ) -> None:
        self.preset = preset or Catalogue.read().preset("nano")
        self._device = torch.device(device)
        self._unet: Any = parts.unet.to(self._device, memory_format=torch.channels_last)
        self._denoiser = Denoiser(self._unet, keeps=keeps_constants)
        self._text: Any = parts.text_encoder.to(self._device)
        self._tokenizer = parts.tokenizer
        self._pack = pack
        self.retriever = Retriever(pack)
        self._guesses = Guesses()
        self._words: Recent[Tensor] = Recent(256)
        self._beside = ThreadPoolExecutor(1, "layer")

    @classmethod
    def shipped(cls, folder: Path = WEIGHTS, device: torch.device | str = "cpu") -> NanoAdapter:
        """The adapter with the weights and pictures that ship."""
        return cls(load(folder), AssetPack(), device)

    @classmethod
    def from_folder(cls, folder: Path, preset: Preset, device: torch.device | str = "cpu") -> NanoAdapter:
        """The adapter with other weights, e.g. freshly trained ones, and the pictures that ship."""
        return cls(load(folder), AssetPack(), device, preset)

    def components(self) -> list[Component]:
        return [Component("text_encoder", self._text), Component("unet", self._unet)]

    def needs(self, width: int, height: int) -> Needs:
        """A network's call at its own frame; around it everything is composed at the region's size."""
        area = width * height
        return Needs(encode=BASE + GUESSING * area, denoise=BASE + COMPOSING * area, decode=BASE + 24 * area)

    def _embed(self, words: str) -> Tensor:
        """(1, LENGTH, width); on the CPU, remembered."""
        return self._words.get(words, lambda: self._embed_words(words))

    @torch.inference_mode()
    def _embed_words(self, words: str) -> Tensor:
        return encode(self._text, token_ids(self._tokenizer, [words]).to(self._device))

    def condition(self, request: Request) -> Conditioning:
        """Retrieves, places and guesses for one variation of one edit.

        Raises:
            BadInput: ``unknown_prompt``, with the nearest names, where the model cannot draw what is asked.
        """
        try:
            understood = understand(self.retriever, request.prompt, bool(request.references))
        except UnknownPrompt as unknown:
            raise BadInput(str(unknown), code="unknown_prompt") from unknown
        if request.previous is not None:
            return NanoKept(self.encode(request.previous))
        wanted = wish(self._pack, understood, request.references, request.seed)
        pixels, mask = request.pixels, request.mask
        region = partial(region_of, pixels, mask)
        # beside the look around the hole, for which one may have to wait
        layer = self._beside.submit(reference_layer, wanted, request.user_mask > 0.5, hole_of(mask), region)
        if request.strength < KEEPS_BELOW:
            return condition(region(), None, pixels, wanted, layer.result())
        around = self._guesses.look(pixels, mask)
        return condition(around.region, around, pixels, wanted, layer.result())

    def remember_in(self, memory: Memory) -> None:
        """Prompts and guesses are remembered there from now on."""
        self._words.remember_in(memory, self.preset.name)
        self._guesses = Guesses(memory.cache("guesses", GUESSES_SHARE))

    def prepare(self, request: Request, goes_on: Callable[[], bool]) -> None:
        """Make the guesses for a region."""
        if request.previous is None and request.strength >= KEEPS_BELOW:
            self._guesses.prepare(request.pixels, request.mask, goes_on)

    def encode(self, pixels: Pixels) -> Tensor:
        """[H, W, 3] in 0..1 → [48, H/4, W/4]; exact."""
        return patchify(to_model(planes(pixels)))[0]

    def sigmas(self, steps: int, strength: float, size: tuple[int, int]) -> list[float]:  # noqa: ARG002 - the seam's
        """Even steps from `strength` to 0."""
        count = max(LEAST_STEPS, steps)
        return [float(s) for s in np.linspace(strength, 0.0, count + 1)]

    def call_key(self, item: Item) -> tuple[object, ...]:
        """The network's frame: regions of any size share a call if their shapes give one frame."""
        if isinstance(item.conditioning, NanoKept):
            return ("nano", "kept")
        return ("nano", *item.conditioning.frame_size)

    def cost(self, item: Item) -> float:
        """One network call at the native frame, and a little for composing a large region."""
        if isinstance(item.conditioning, NanoKept):
            return KEPT_COST
        height, width = item.conditioning.frame_size
        large_height, large_width = item.conditioning.hole.shape[-2:]
        return float(height * width / NATIVE**2 + 0.3 * large_height * large_width / 1024**2)

    @torch.inference_mode()
    def denoise(self, items: Sequence[Item]) -> list[Tensor]:
        """The clean latents that the network sees behind each item's noise, at each item's own noise level."""
        if isinstance(items[0].conditioning, NanoKept):
            return [item.conditioning.latents.clone() for item in items]
        asked = [item for item in items if not item.conditioning.settled]
        parts = [_to_frame(item) for item in asked]
        mixtures = iter(
            self._denoiser.mixtures(
                torch.stack([latents for latents, _ in parts]),
                torch.tensor([sigma for _, sigma in parts]),
                [item.conditioning.frame for item in asked],
                torch.cat([self._embed(item.conditioning.words) for item in asked]).to(self._device),
            )
            if asked
            else ()
        )
        return [_settled(item) if item.conditioning.settled else _composed(item, next(mixtures)) for item in items]

    def decode(self, latents: Tensor) -> Pixels:
        """[48, h, w] → [4h, 4w, 3] in 0..1."""
        picture: Pixels = to_pixels(unpatchify(latents[None]))[0].permute(1, 2, 0).contiguous().cpu().numpy()
        return picture

    def preview(self, latents: Tensor) -> npt.NDArray[np.uint8]:
        """The picture itself, at most PREVIEW_SIDE pixels a side."""
        picture = to_pixels(unpatchify(latents[None]))
        shrink = max(1, -(-max(picture.shape[-2:]) // PREVIEW_SIDE))
        small = F.avg_pool2d(picture, shrink)[0] if shrink > 1 else picture[0]
        result: npt.NDArray[np.uint8] = (small.permute(1, 2, 0) * 255).round().to(torch.uint8).cpu().numpy()
        return result


def _settled(item: Item) -> Tensor:
    """The clean latents where nothing is known around the hole."""
    return patchify(to_model(item.conditioning.guesses[:, 1]))[0]


def _composed(item: Item, mixture: Mixture) -> Tensor:
    """The clean latents at an item's own size: in the hole what the network mixed, outside it the picture."""
    given = item.conditioning
    drawn = mixture.compose(given.guesses, keeps_grain=item.sigma < GRAIN_BELOW)
    return patchify(to_model(torch.where(given.hole > 0.5, drawn, given.guesses[:, 0])))[0]


def _to_frame(item: Item) -> tuple[Tensor, float]:
    """An item's noisy latents at the network's frame, and the noise level they have there.

    Averaging k × k pixels divides white noise by k and leaves the picture: (1 − σ)·x + σ/k·n. Scaled by the sum of both
    shares this is again a state of flow matching, at the lower level σ' = (σ/k) / (1 − σ + σ/k).
    """
    size = item.conditioning.frame_size
    picture = unpatchify(item.latents[None])
    if tuple(picture.shape[-2:]) == size:
        return item.latents, item.sigma
    small = F.interpolate(picture, size, mode="area")
    left = item.sigma * _noise_left(int(picture.shape[-2]), size[0]) * _noise_left(int(picture.shape[-1]), size[1])
    total = 1 - item.sigma + left
    return patchify(small / total)[0], left / total


@lru_cache(maxsize=256)
def _noise_left(source: int, target: int) -> float:
    """The deviation that unit white noise keeps along one axis when `source` samples are averaged down to `target`."""
    unit = torch.eye(source)[:, None, :]
    weights = F.interpolate(unit, target, mode="area")[:, 0]
    return float((weights**2).sum(0).sqrt().mean())
