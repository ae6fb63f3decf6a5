"""A whole UNet of diffusers', walked: the way down, the middle, the way up."""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from torch import Tensor

from nanobana_engine.sparse.blocks import Down, Mid, Up
from nanobana_engine.sparse.call import Call
from nanobana_engine.sparse.layers import Conv3, ReplayedNorm
from nanobana_engine.sparse.record import Sites
from nanobana_engine.sparse.refuse import UnknownBlock, check

CONFIG = {
    "center_input_sample": False, "class_embed_type": None, "num_class_embeds": None, "encoder_hid_dim_type": None,
    "time_embedding_act_fn": None, "resnet_time_scale_shift": "default", "attention_type": "default",
    "class_embeddings_concat": False, "dual_cross_attention": False, "conv_in_kernel": 3, "conv_out_kernel": 3,
}  # fmt: skip
"""What of a configuration is known, and how."""
TOLD = (None, "text_time")
"""What a network may be told besides the timestep: nothing, or what SDXL's are."""


class Unet:
    """diffusers' `UNet2DConditionModel` as in Stable Diffusion 1.5, 2 and XL.

    Raises:
        UnknownBlock: something of it is not known here.
    """

    def __init__(self, unet: Any) -> None:
        self.sites = Sites()
        parts = ("conv_in", "time_proj", "time_embedding", "add_time_proj", "add_embedding", "down_blocks", "up_blocks",
                 "mid_block", "conv_norm_out", "conv_act", "conv_out")  # fmt: skip
        check(unet, "UNet2DConditionModel", "unet", parts, training=False)
        for fact, wanted in CONFIG.items():
            if (found := unet.config.get(fact, wanted)) != wanted:
                raise UnknownBlock("unet", f"has {fact} = {found!r}")
        if unet.config.addition_embed_type not in TOLD:
            raise UnknownBlock("unet", f"is told {unet.config.addition_embed_type!r} besides the timestep")
        if unet.conv_norm_out is None:
            raise UnknownBlock("unet", "has no norm at its end")
        check(unet.conv_act, "SiLU", "conv_act", ())
        self._into = Conv3(unet.conv_in, "conv_in", self.sites)
        self._down = [Down(each, f"down_blocks.{n}", self.sites) for n, each in enumerate(unet.down_blocks)]
        self._mid = Mid(unet.mid_block, "mid_block", self.sites)
        self._up = [Up(each, f"up_blocks.{n}", self.sites) for n, each in enumerate(unet.up_blocks)]
        self._norm = ReplayedNorm(unet.conv_norm_out, "conv_norm_out", self.sites)
        self._out = Conv3(unet.conv_out, "conv_out", self.sites)
        self.levels = len(unet.down_blocks)

    def __call__(self, x: Tensor, call: Call) -> Tensor:
        """[n, in] → [n, out], of the active cells of the finest level."""
        x = self._into(x, call)
        aside = [x]
        for down in self._down:
            x, more = down(x, call)
            aside += more
        x = self._mid(x, call)
        for up in self._up:
            x = up(x, call, aside)
        return self._out(F.silu(self._norm(x, call), inplace=True), call)
