"""The fixed noise of an edit: drawn on the CPU from its seed, the same on every device and in every batch (E4, E11)."""

from __future__ import annotations

import torch

from nanobana.protocol.geometry import Box

STAGE_STRIDE = 1_000_003
"""Separates the generators of an edit's stages."""


def stage_noise(seed: int, stage: int, shape: tuple[int, int, int]) -> torch.Tensor:
    """Gaussian noise [channels, height, width] over a whole stage, in latent cells."""
    generator = torch.Generator().manual_seed(seed * STAGE_STRIDE + stage)
    return torch.randn(shape, generator=generator)


def step_noise(seed: int, stage: int, step: int, shape: tuple[int, int, int]) -> torch.Tensor:
    """The same for one step of a stage, for samplers that add noise on their way."""
    generator = torch.Generator().manual_seed(((seed * STAGE_STRIDE + stage) * STAGE_STRIDE + step + 1) % 2**63)
    return torch.randn(shape, generator=generator)


def tile_noise(noise: torch.Tensor, tile: Box, stride: int) -> torch.Tensor:
    """The part of a stage's noise that belongs to a tile (pixels of the stage): tiles that overlap agree there."""
    return noise[:, tile.y0 // stride : tile.y1 // stride, tile.x0 // stride : tile.x1 // stride]
