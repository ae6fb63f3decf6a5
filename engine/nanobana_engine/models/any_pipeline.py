"""The adapter for every model without one of its own that diffusers has an inpainting pipeline for.

Such a pipeline owns its loop. It is walked: each of its steps is one of ours, so it is previewed, cancelled and takes
turns with others like any model; what it can't do is share a call. Every edit walks a copy of the pipeline that shares
the weights and has a scheduler and an attention to what it is asked of its own.

At the seam latents are the pixels themselves, unshuffled; the last step's are the pipeline's picture.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from copy import copy, deepcopy
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from nanobana.protocol.errors import NotFound
from nanobana.protocol.parameters import Ability
from nanobana_engine.models.base import Component, Item, Move, Pixels, Preset, Request
from nanobana_engine.models.folder import components_of, pipeline_of, read_index
from nanobana_engine.models.guests import placed
from nanobana_engine.models.loading import load_pipeline
from nanobana_engine.models.projection import Projection
from nanobana_engine.models.walk import Walk

LEAST_STEPS = 3
LEVEL = 1.0 / 1024
"""Noise levels count the steps that are left: a pipeline keeps its own noise to itself."""
PREVIEW_SIDE = 256
GUIDANCE = ("true_cfg_scale", "guidance_scale")
"""How pipelines call it; the first that one has is meant."""
TOLD: Mapping[Ability, tuple[str, ...]] = {
    "negative": ("negative_prompt",),
    "guidance": GUIDANCE,
    "steps": ("num_inference_steps",),
}
"""By ability, the parameters of a pipeline that make it one."""

Walked = Walk[Tensor, Pixels]


@dataclass(slots=True)
class Asked:
    """One edit's call; it begins with its first step, when steps and guidance are known."""

    request: Request
    walk: Walked | None = None
    steps: int = 0


class AnyPipelineAdapter:
    """Wraps a loaded inpainting pipeline, its loop included."""

    def __init__(self, pipeline: Any, preset: Preset, device: torch.device | str = "cpu") -> None:
        self.device = torch.device(device)
        self._pipeline = placed(pipeline, preset, self.device)
        self._pipeline.set_progress_bar_config(disable=True)
        self._parameters = frozenset(inspect.signature(type(pipeline).__call__).parameters)
        takes = {ability for ability in preset.takes if self._can(ability)}
        self.preset = replace(preset, takes=frozenset(takes))
        self._project = Projection(self._vae_encode, preset.latent_stride)
        self._walking: dict[int, Asked] = {}

    @classmethod
    def from_folder(cls, folder: Path, preset: Preset, device: torch.device | str = "cpu") -> AnyPipelineAdapter:
        """Load a folder in diffusers format that was checked; nothing is downloaded.

        Raises:
            NotFound: ``unknown_model``: diffusers has no inpainting for it; ``incomplete_model``.
        """
        loader = _loader(folder)
        there = components_of(read_index(folder))
        wanted = inspect.signature(loader.__init__).parameters.values()
        left_out = [each.name for each in wanted if each.default is each.empty and each.name not in (*there, "self")]
        pipeline = load_pipeline(loader, folder, preset, device, **dict.fromkeys(left_out))
        return cls(pipeline, preset, device)

    def components(self) -> list[Component]:
        parts = self._pipeline.components.items()
        return [Component(name, part) for name, part in parts if isinstance(part, torch.nn.Module)]

    def condition(self, request: Request) -> Asked:
        return Asked(request)

    def release(self, conditioning: Asked) -> None:
        """The edit is over, or nobody wants it any more: leave its pipeline where it stands."""
        if conditioning.walk is not None:
            conditioning.walk.stop()
        self._walking.pop(id(conditioning), None)

    def check_integrity(self) -> None:
        """No pipeline stands in the middle of an edit that is over."""
        if self._walking:
            raise AssertionError(f"{len(self._walking)} pipelines were never left")

    def encode(self, pixels: Pixels) -> Tensor:
        """[H, W, 3] in 0..1 → [3 s², H/s, W/s], exact, with s the latent stride."""
        planes = torch.from_numpy(np.ascontiguousarray(np.moveaxis(pixels, -1, 0)))
        return F.pixel_unshuffle(planes, self.preset.latent_stride)

    def decode(self, latents: Tensor) -> Pixels:
        planes = F.pixel_shuffle(latents, self.preset.latent_stride)
        pixels: Pixels = np.ascontiguousarray(np.moveaxis(planes.clamp(0, 1).numpy(), 0, -1)).astype(np.float32)
        return pixels

    def begin(self, request: Request, known: Tensor, noise: Tensor, sigma: float) -> Tensor:  # noqa: ARG002 - the seam's
        """The pipeline begins by itself."""
        return known

    def step(self, move: Move) -> Tensor:
        """What the pipeline shows is where it stands."""
        return move.clean

    def sigmas(self, steps: int, strength: float, size: tuple[int, int]) -> list[float]:  # noqa: ARG002 - the seam's
        """Each step's number: the levels are the pipeline's own business."""
        count = max(LEAST_STEPS, steps)
        return [left * LEVEL for left in range(count, -1, -1)]

    def call_key(self, item: Item) -> tuple[object, ...]:
        """Nothing shares a call."""
        return (self.preset.name, id(item.conditioning))

    def cost(self, item: Item) -> float:
        """Area in native pictures, twice with guidance."""
        height, width = item.conditioning.request.mask.shape
        return float(height * width / self.preset.native**2 * (2.0 if item.guidance > 1.0 else 1.0))

    def denoise(self, items: Sequence[Item]) -> list[Tensor]:
        """One step of each item's pipeline; its picture when it is over, else what its latents look like."""
        return [self._stepped(item) for item in items]

    def _stepped(self, item: Item) -> Tensor:
        asked: Asked = item.conditioning
        left = round(item.sigma / LEVEL)
        if asked.walk is None:
            asked.steps = left
            asked.walk = Walk(partial(self._call, asked.request, left, item.guidance))
            self._walking[id(asked)] = asked
        asked.walk.to(None if left == 1 else asked.steps - left + 1)
        if asked.walk.result is not None:
            return self.encode(asked.walk.result)
        look = self._look(asked.walk.seen, asked.request) if asked.walk.seen is not None else None
        return self.encode(asked.request.prefilled) if look is None else self.encode(look)

    def preview(self, latents: Tensor) -> npt.NDArray[np.uint8]:
        """The picture, at most PREVIEW_SIDE pixels a side."""
        picture = F.pixel_shuffle(latents, self.preset.latent_stride)[None].clamp(0, 1)
        shrink = max(1, -(-max(picture.shape[-2:]) // PREVIEW_SIDE))
        small = F.avg_pool2d(picture, shrink)[0] if shrink > 1 else picture[0]
        shown: npt.NDArray[np.uint8] = (small.permute(1, 2, 0) * 255).round().to(torch.uint8).numpy()
        return shown

    def _can(self, ability: Ability) -> bool:
        names = TOLD.get(ability)
        return names is None or any(name in self._parameters for name in names)

    def _call(self, request: Request, steps: int, guidance: float, pause: Callable[[Tensor], None]) -> Pixels:
        """The pipeline's whole call, on a copy of it."""
        pipeline = copy(self._pipeline)
        pipeline.scheduler = deepcopy(self._pipeline.scheduler)

        def on_step_end(_: Any, __: int, ___: Any, tensors: dict[str, Any]) -> dict[str, Any]:
            pause(tensors["latents"])
            return tensors

        asked = self._asked(request, steps, guidance)
        asked["callback_on_step_end"] = on_step_end
        known = {name: value for name, value in asked.items() if name in self._parameters}
        picture = np.asarray(pipeline(**known).images[0], np.float32)
        return self._fitted(picture, request.mask.shape)

    def _asked(self, request: Request, steps: int, guidance: float) -> dict[str, Any]:
        """Every parameter by which pipelines may be told; more steps where only the last ones of them run."""
        height, width = request.mask.shape
        whole = max(steps, round(steps / max(request.strength, 0.01)))
        before = request.pixels if request.previous is None else request.previous
        return {
            "prompt": request.prompt,
            "negative_prompt": request.negative or None,
            "image": Image.fromarray(np.rint(before * 255.0).astype(np.uint8)),
            "mask_image": Image.fromarray(((request.mask >= 0.5) * 255).astype(np.uint8)),
            "height": height,
            "width": width,
            "strength": steps / whole,
            "num_inference_steps": whole,
            next((name for name in GUIDANCE if name in self._parameters), "guidance_scale"): guidance,
            "generator": torch.Generator().manual_seed(request.seed),
            "output_type": "np",
        }

    @staticmethod
    def _fitted(picture: Pixels, shape: tuple[int, ...]) -> Pixels:
        """At the size that was asked for; some pipelines round it."""
        if picture.shape[:2] == shape:
            return picture
        planes = torch.from_numpy(picture).permute(2, 0, 1)[None]
        resized: Pixels = F.interpolate(planes, shape, mode="bilinear")[0].permute(1, 2, 0).contiguous().numpy()
        return resized

    def _look(self, latents: Tensor, request: Request) -> Pixels | None:
        """Latents as a picture, without running a decoder; None for latents of a kind that is not known here."""
        height, width = request.mask.shape
        try:
            if latents.ndim == 3:  # packed into tokens, as diffusion transformers want them
                latents = self._pipeline._unpack_latents(latents, height, width, self._pipeline.vae_scale_factor)
            cells = latents.reshape(latents.shape[1], *latents.shape[-2:]).float().cpu()
            shown = torch.from_numpy(self._project(cells)).permute(2, 0, 1)[None].float() / 255.0
        except (AttributeError, TypeError, ValueError, RuntimeError):
            return None
        full = F.interpolate(shown, (height, width), mode="bilinear")[0]
        picture: Pixels = full.permute(1, 2, 0).contiguous().numpy()
        return picture

    @torch.inference_mode()
    def _vae_encode(self, pixels: Pixels) -> Tensor:
        """[C, h, w], scaled as pipelines do."""
        vae = self._pipeline.vae
        picture = torch.from_numpy(pixels).permute(2, 0, 1)[None] * 2.0 - 1.0
        latents = vae.encode(picture.to(self.device, vae.dtype)).latent_dist.mode()[0].float()
        scaled: Tensor = (latents - (getattr(vae.config, "shift_factor", None) or 0.0)) * vae.config.scaling_factor
        return scaled


def _loader(folder: Path) -> Any:
    """The class that loads a folder for inpainting.

    Raises:
        NotFound: ``unknown_model``.
    """
    import diffusers
    from diffusers.pipelines.auto_pipeline import AUTO_INPAINT_PIPELINES_MAPPING, _get_task_class

    name = pipeline_of(folder)
    own = getattr(diffusers, name, None)
    if own is not None and "mask_image" in inspect.signature(own.__call__).parameters:
        return own
    found = _get_task_class(AUTO_INPAINT_PIPELINES_MAPPING, name, throw_error_if_not_exist=False)
    if found is None:
        raise NotFound(
            f"{folder} holds a {name}, for which diffusers has no inpainting. `nanobana models` lists what runs here.",
            code="unknown_model",
        )
    return found
