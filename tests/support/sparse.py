"""Tiny UNets with everything that those of Stable Diffusion 1.5, 2 and XL have, and pictures to run them on."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from nanobana_engine.sparse import Executor
from nanobana_engine.sparse.call import Prompt
from nanobana_engine.sparse.executor import Row, Sparse
from nanobana_engine.sparse.geometry import grown
from nanobana_engine.sparse.record import Record

WIDTH = 12
"""Of a prompt's tokens."""
SIDE = (16, 24)
"""Cells."""


def sd_unet(channels: int = 9, **more: Any) -> Any:
    """Three levels, the last without attention, two layers each."""
    from diffusers import UNet2DConditionModel

    torch.manual_seed(7)
    facts: dict[str, Any] = {
        "in_channels": channels, "out_channels": 4, "block_out_channels": (8, 16, 24), "layers_per_block": 2,
        "norm_num_groups": 4, "attention_head_dim": 2, "cross_attention_dim": WIDTH, "sample_size": 16,
        "down_block_types": ("CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"),
        "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
    }  # fmt: skip
    return UNet2DConditionModel(**{**facts, **more}).eval()


def xl_unet(channels: int = 4) -> Any:
    """As SDXL's: no attention at the finest level, several blocks where there is, linear projections, sizes told."""
    return sd_unet(
        channels, down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        transformer_layers_per_block=(1, 2, 3), attention_head_dim=(2, 2, 3), use_linear_projection=True,
        addition_embed_type="text_time", addition_time_embed_dim=8, projection_class_embeddings_input_dim=10 + 6 * 8,
    )  # fmt: skip


def row_of(unet: Any, seed: int, *, timestep: float = 500.0, size: tuple[int, int] = SIDE, tokens: int = 7) -> Row:
    """A picture of noise with a prompt of its own."""
    dice = torch.Generator().manual_seed(seed)
    told = None
    if unet.config.addition_embed_type == "text_time":
        told = {"text_embeds": torch.randn(10, generator=dice), "time_ids": torch.rand(6, generator=dice) * 64}
    return Row(
        sample=torch.randn((unet.config.in_channels, *size), generator=dice),
        timestep=timestep,
        prompt=Prompt(torch.randn((tokens, WIDTH), generator=dice)),
        told=told,
    )


def cells(box: tuple[int, int, int, int], size: tuple[int, int] = SIDE) -> Tensor:
    """[h, w], bool: x0, y0, x1, y1."""
    made = torch.zeros(size, dtype=torch.bool)
    made[box[1] : box[3], box[0] : box[2]] = True
    return made


def recorded(executor: Executor, row: Row) -> tuple[Tensor, Record]:
    """The network's own answer, and the record of it."""
    ((answer, record),) = executor.record([row])
    return answer, record


def painted(executor: Executor, row: Row, active: Tensor, record: Record, seed: int) -> Sparse:
    """The same picture with other noise in these cells, and they and their neighbours to be computed."""
    noise = torch.randn(row.sample.shape, generator=torch.Generator().manual_seed(seed))
    changed = Row(
        sample=torch.where(active, noise, row.sample), timestep=row.timestep, prompt=row.prompt, told=row.told
    )
    return Sparse(row=changed, shape=executor.shape(grown(active[None])[0]), record=record)
