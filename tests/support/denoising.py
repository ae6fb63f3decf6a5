"""An edit through the engine's runner, from a request to its last step, for comparison with a pipeline of diffusers."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from nanobana.protocol.geometry import Box
from nanobana_engine.models.base import ModelAdapter, Request
from nanobana_engine.runner import Pass, Runner
from nanobana_engine.runner.noise import stage_noise

SEED = 5


def request(prompt: str, size: tuple[int, int], **facts: Any) -> Request:
    """One for the whole of a picture of 8-bit noise, width × height, unless `facts` say otherwise."""
    pixels = np.random.default_rng(1).integers(0, 256, (size[1], size[0], 3)).astype(np.float32) / np.float32(255.0)
    whole = np.ones((size[1], size[0]), np.float32)
    given = {"pixels": pixels, "mask": whole, "user_mask": whole, "negative": "no", "seed": SEED}
    return Request(prompt=prompt, **{**given, **facts})


def left_half(size: tuple[int, int]) -> np.ndarray[Any, np.dtype[np.float32]]:
    """A mask of the left half, width × height."""
    mask = np.zeros((size[1], size[0]), np.float32)
    mask[:, : size[0] // 2] = 1.0
    return mask


def finished(
    adapter: ModelAdapter,
    asked: Request,
    *,
    steps: int,
    guidance: float,
    blends: bool = True,
    begins: torch.Tensor | None = None,
) -> tuple[Runner, Pass]:
    """
    Args:
        blends: whether what is outside the mask is put back at every step; some pipelines of diffusers do not.
        begins: [C, h, w], noise instead of the seed's, for pipelines that take none and draw their own.
    """
    runner = Runner(adapter)
    size = (asked.mask.shape[1], asked.mask.shape[0])
    one = runner.start(asked, owner="e", steps=steps, guidance=guidance, stage=0, frame=size, tile=Box(0, 0, *size))
    if not blends:
        one.depth, one.changes = torch.ones_like(one.depth), Box(0, 0, *size)
    if begins is not None:
        one.noise, one.latents = begins, begins
    while not one.is_done:
        runner.advance([one])
    return runner, one


def noise(one: Pass) -> torch.Tensor:
    """What the pass began with, [1, C, h, w]."""
    channels, height, width = one.latents.shape
    return stage_noise(SEED, 0, (channels, height, width))[None]
