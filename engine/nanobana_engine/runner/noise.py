"""The fixed noise of an edit: drawn on the CPU from its seed, the same on every device and in every batch (E4, E11)."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from nanobana.protocol.geometry import Box

STAGE_STRIDE = 1_000_003
"""Separates the generators of an edit's stages."""

AROUND = 2**41
"""Instead of a seed: what lies around an edit has the same noise for all edits, so that passes over it are alike."""

BLOCK, ROW = 64, 1 << 20
"""Latent cells along the blocks in which the noise of a stage in tiles is drawn, and what separates their rows."""


@dataclass(frozen=True, slots=True)
class Drawing:
    """The noise of one tile of a stage, or of a stage that is one picture; any thread may draw it."""

    seed: int
    stage: int
    """Number of the stage within the edit, 0 first."""
    tile: Box
    frame: tuple[int, int]
    """Width and height of the whole stage."""
    stride: int
    """Pixels along a latent cell."""

    def draw(self, channels: int, step: int | None = None) -> torch.Tensor:
        """[channels, height, width] of the tile's cells: the fixed noise, or that of one step."""
        if (self.tile.width, self.tile.height) != self.frame:
            return tile_noise(self.seed, self.stage, channels, self.tile, self.stride, step=step)
        shape = (channels, self.frame[1] // self.stride, self.frame[0] // self.stride)
        if step is None:
            return stage_noise(self.seed, self.stage, shape)
        return step_noise(self.seed, self.stage, step, shape)


def stage_noise(seed: int, stage: int, shape: tuple[int, int, int]) -> torch.Tensor:
    """Gaussian noise [channels, height, width] over a whole stage, in latent cells."""
    return _drawn(_stage(seed, stage), shape)


def step_noise(seed: int, stage: int, step: int, shape: tuple[int, int, int]) -> torch.Tensor:
    """The same for one step of a stage, for samplers that add noise on their way."""
    return _drawn(_step(seed, stage, step), shape)


def tile_noise(
    seed: int, stage: int, channels: int, tile: Box, stride: int, *, step: int | None = None
) -> torch.Tensor:
    """The noise of one tile (pixels of the stage) of many: where they overlap they agree, and nobody draws it all."""
    key = _stage(seed, stage) if step is None else _step(seed, stage, step)
    cells = Box(tile.x0 // stride, tile.y0 // stride, tile.x1 // stride, tile.y1 // stride)
    left, top = cells.x0 // BLOCK, cells.y0 // BLOCK
    rows = [
        [
            _drawn(key * STAGE_STRIDE + y * ROW + x + 1, (channels, BLOCK, BLOCK))
            for x in range(left, -(-cells.x1 // BLOCK))
        ]
        for y in range(top, -(-cells.y1 // BLOCK))
    ]
    blocks = torch.cat([torch.cat(row, dim=2) for row in rows], dim=1)
    here = cells.shift(-left * BLOCK, -top * BLOCK)
    return blocks[:, here.y0 : here.y1, here.x0 : here.x1]


def _stage(seed: int, stage: int) -> int:
    return seed * STAGE_STRIDE + stage


def _step(seed: int, stage: int, step: int) -> int:
    return _stage(seed, stage) * STAGE_STRIDE + step + 1


def _drawn(key: int, shape: tuple[int, int, int]) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(key % 2**63))
