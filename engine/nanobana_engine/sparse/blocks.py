"""The blocks that a UNet is made of, walked with lists of active cells; one walker for each class of diffusers'."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from nanobana_engine.sparse.attention import Transformer
from nanobana_engine.sparse.call import Call
from nanobana_engine.sparse.layers import Conv3, Pointwise, ReplayedNorm
from nanobana_engine.sparse.record import Sites
from nanobana_engine.sparse.refuse import UnknownBlock, check

FREE = {"s1": None, "s2": None, "b1": None, "b2": None}
"""Of blocks on the way up: FreeU is off."""


class Resnet:
    """diffusers' `ResnetBlock2D`, without a change of size."""

    def __init__(self, module: Any, name: str, sites: Sites) -> None:
        check(
            module, "ResnetBlock2D", name,
            ("norm1", "conv1", "time_emb_proj", "norm2", "dropout", "conv2", "nonlinearity", "conv_shortcut"),
            up=False, down=False, time_embedding_norm="default", skip_time_act=False, training=False,
        )  # fmt: skip
        check(module.nonlinearity, "SiLU", f"{name}.nonlinearity", ())
        check(module.time_emb_proj, "Linear", f"{name}.time_emb_proj", ())
        self._module = module
        self._norm1 = ReplayedNorm(module.norm1, f"{name}.norm1", sites)
        self._conv1 = Conv3(module.conv1, f"{name}.conv1", sites)
        self._norm2 = ReplayedNorm(module.norm2, f"{name}.norm2", sites)
        self._conv2 = Conv3(module.conv2, f"{name}.conv2", sites)
        shortcut = module.conv_shortcut
        self._shortcut = None if shortcut is None else Pointwise(shortcut, f"{name}.conv_shortcut")

    def __call__(self, x: Tensor, call: Call) -> Tensor:
        inner = self._conv1(F.silu(self._norm1(x, call), inplace=True), call)
        told = self._module.time_emb_proj(call.embedding)
        inner = self._conv2(F.silu(self._norm2(inner, call, told), inplace=True), call)
        inner += x if self._shortcut is None else self._shortcut(x)
        return inner if self._module.output_scale_factor == 1.0 else inner / self._module.output_scale_factor


class Down:
    """`CrossAttnDownBlock2D` or `DownBlock2D`."""

    def __init__(self, module: Any, name: str, sites: Sites) -> None:
        kind = _one_of(module, name, "CrossAttnDownBlock2D", "DownBlock2D")
        check(module, kind, name, ("resnets", "attentions", "downsamplers"))
        self._layers = _layers(module, name, sites)
        self._shrink: Conv3 | None = None
        for shrinks in module.downsamplers or ():
            at = f"{name}.downsamplers.0"
            if len(module.downsamplers) > 1:
                raise UnknownBlock(name, "halves more than once")
            check(shrinks, "Downsample2D", at, ("conv",), use_conv=True, padding=1, norm=None)
            self._shrink = Conv3(shrinks.conv, f"{at}.conv", sites, "down")

    def __call__(self, x: Tensor, call: Call) -> tuple[Tensor, list[Tensor]]:
        """The list, and what the way up takes besides."""
        aside = []
        for resnet, transformer in self._layers:
            x = resnet(x, call)
            x = x if transformer is None else transformer(x, call)
            aside.append(x)
        if self._shrink is not None:
            x = self._shrink(x, call)
            aside.append(x)
        return x, aside


class Mid:
    """`UNetMidBlock2DCrossAttn`."""

    def __init__(self, module: Any, name: str, sites: Sites) -> None:
        check(module, "UNetMidBlock2DCrossAttn", name, ("resnets", "attentions"))
        self._first = Resnet(module.resnets[0], f"{name}.resnets.0", sites)
        self._layers = [
            (
                Transformer(module.attentions[n], f"{name}.attentions.{n}", sites),
                Resnet(module.resnets[n + 1], f"{name}.resnets.{n + 1}", sites),
            )
            for n in range(len(module.attentions))
        ]

    def __call__(self, x: Tensor, call: Call) -> Tensor:
        x = self._first(x, call)
        for transformer, resnet in self._layers:
            x = resnet(transformer(x, call), call)
        return x


class Up:
    """`CrossAttnUpBlock2D` or `UpBlock2D`."""

    def __init__(self, module: Any, name: str, sites: Sites) -> None:
        kind = _one_of(module, name, "CrossAttnUpBlock2D", "UpBlock2D")
        check(module, kind, name, ("resnets", "attentions", "upsamplers"), **FREE)
        self._layers = _layers(module, name, sites)
        self._grow: Conv3 | None = None
        for grows in module.upsamplers or ():
            at = f"{name}.upsamplers.0"
            if len(module.upsamplers) > 1:
                raise UnknownBlock(name, "doubles more than once")
            check(
                grows, "Upsample2D", at, ("conv",), use_conv=True, use_conv_transpose=False, interpolate=True,
                norm=None, name="conv",
            )  # fmt: skip
            self._grow = Conv3(grows.conv, f"{at}.conv", sites, "up", site=grows)

    def __call__(self, x: Tensor, call: Call, aside: list[Tensor]) -> Tensor:
        """Takes its own off the end of what was put aside on the way down."""
        for resnet, transformer in self._layers:
            x = resnet(torch.cat([x, aside.pop()], dim=1), call)
            x = x if transformer is None else transformer(x, call)
        return x if self._grow is None else self._grow(x, call)


def _layers(module: Any, name: str, sites: Sites) -> list[tuple[Resnet, Transformer | None]]:
    resnets = [Resnet(each, f"{name}.resnets.{n}", sites) for n, each in enumerate(module.resnets)]
    attentions = getattr(module, "attentions", None)
    if attentions is None:
        return [(each, None) for each in resnets]
    if len(attentions) != len(resnets):
        raise UnknownBlock(name, f"has {len(attentions)} transformers for {len(resnets)} resnets")
    return [
        (resnet, Transformer(each, f"{name}.attentions.{n}", sites))
        for n, (resnet, each) in enumerate(zip(resnets, attentions, strict=True))
    ]


def _one_of(module: Any, name: str, *kinds: str) -> str:
    kind = type(module).__name__
    if kind not in kinds:
        raise UnknownBlock(name, f"is a {kind}, none of {', '.join(kinds)}")
    return kind
