"""What a UNet of Stable Diffusion is told of an edit, and the pictures that a step of several edits asks it for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from nanobana_engine.models.base import Item, Request, Worn
from nanobana_engine.models.sd.latents import Latents
from nanobana_engine.models.sd.levels import Levels
from nanobana_engine.models.sd.reuse import Asked
from nanobana_engine.models.sd.scene import Scene
from nanobana_engine.sparse.call import Prompt
from nanobana_engine.sparse.executor import Row


@dataclass(frozen=True, slots=True)
class SdConditioning:
    """What the UNet is told besides the picture."""

    prompt: Tensor
    """[tokens, width]."""
    negative: Tensor
    """As many tokens."""
    pooled: Tensor | None = None
    """[width'], XL only."""
    negative_pooled: Tensor | None = None
    seen: Tensor | None = None
    """[1 + 4, h, w] for a UNet of 9 channels: the mask, and the latents of the picture without what it covers."""
    scene: Scene | None = None
    """By which is decided what is computed; None where everything is."""
    loras: tuple[Worn, ...] = ()


def seen_of(request: Request, latents: Latents, stride: int) -> Tensor:
    """[5, h, w]: where D is a half or more the picture is gray to the network and its own to fill."""
    mask = (request.mask >= 0.5).astype(np.float32)
    kept = (request.pixels * (1.0 - mask[..., None]) + 0.5 * mask[..., None]).astype(np.float32)
    latents.of(request.pixels)  # first, so that of the other only what the mask covers is left to do
    seen = latents.of(kept, keeps=False)
    cells = F.max_pool2d(torch.from_numpy(mask)[None, None], stride)[0]
    return torch.cat([cells.to(seen), seen])


def asked_of(
    items: Sequence[Item],
    guided: Sequence[int],
    unet: Any,
    levels: Levels,
    prompt: Callable[[Tensor], Prompt],
    *,
    told: Mapping[str, Tensor] | None,
    embedded: Tensor | None,
) -> list[Asked]:
    """Of each item its picture with its prompt, then of each guided one with its negative prompt.

    Args:
        guided: places of the items that are asked for twice.
        told, embedded: by row in this order, what the network is told besides.
    """
    order = [(item, False) for item in items] + [(items[n], True) for n in guided]
    asked = []
    for place, (item, is_negative) in enumerate(order):
        given: SdConditioning = item.conditioning
        shown = levels.inner(item.latents, item.sigma)
        if given.seen is not None:
            shown = torch.cat([shown, given.seen])
        row = Row(
            sample=shown.to(unet.device, unet.dtype),
            timestep=levels.timestep(item.sigma),
            prompt=prompt(given.negative if is_negative else given.prompt),
            told=None if told is None else {name: rows[place] for name, rows in told.items()},
            guidance=None if embedded is None else embedded[place],
        )
        asked.append(Asked(row=row, sigma=item.sigma, is_negative=is_negative, scene=given.scene, loras=given.loras))
    return asked


def guidance_embedding(pipeline: Any, guidance: Sequence[float]) -> Tensor | None:
    """[rows, width], for distilled UNets that are told the guidance instead of being asked twice."""
    unet = pipeline.unet
    width = unet.config.time_cond_proj_dim
    if width is None:
        return None
    embedding: Tensor = pipeline.get_guidance_scale_embedding(torch.tensor(guidance) - 1.0, embedding_dim=width)
    return embedding.to(unet.device, unet.dtype)
