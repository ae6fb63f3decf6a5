"""The blocks of diffusers' `AutoencoderKL`, run over whole planes while what a part will need of them is written down.

Two things in such a network look at the whole picture: group normalisation, whose mean and deviation are of the whole
plane, and the attention in the middle. A pass over the whole writes both down; a part (`beside`) replays them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from nanobana_engine.models.vae.boxes import Boxes


@dataclass(frozen=True, slots=True)
class Passed:
    """What a pass over a whole picture found, in the order in which the network runs."""

    norms: tuple[tuple[Tensor, Tensor, Tensor], ...]
    """Of each group normalisation, in float32: mean and one over the deviation, [groups], and how varied each block of
    the plane is, [groups, GRID, GRID] around 1."""
    attended: tuple[tuple[Tensor, Tensor], ...]
    """Keys and values of each attention, [1, heads, cells, width]."""
    entered: Tensor | None = None
    """Of an encoder: what entered its coarsest level, [1, C, h, w]."""
    drift: float = 0.0
    """By how much the variances may be wrong by now, for parts that were done anew since."""

    @property
    def nbytes(self) -> int:
        tensors = [each for several in (*self.norms, *self.attended) for each in several]
        return sum(each.nbytes for each in (tensors if self.entered is None else [*tensors, self.entered]))

    def cpu(self) -> Passed:
        norms = tuple((mean.cpu(), steepness.cpu(), varied.cpu()) for mean, steepness, varied in self.norms)
        attended = tuple((keys.cpu(), values.cpu()) for keys, values in self.attended)
        return Passed(norms, attended, None if self.entered is None else self.entered.cpu(), self.drift)


GRID, SAMPLED = 8, 64
"""Blocks along a side of a plane whose variance is recorded, and pixels along it that are looked at for that."""

At = Boxes | None
"""What of a level a plane is: boxes of it as rows, [pixels, C]; None: all of it, [1, C, h, w]."""


class Walk:
    """A pass over the whole, which is recorded.

    Args:
        check: called between blocks; may raise, to give up.
    """

    def __init__(self, check: Callable[[], None] = lambda: None) -> None:
        self._check = check
        self._norms: list[tuple[Tensor, Tensor, Tensor]] = []
        self._attended: list[tuple[Tensor, Tensor]] = []

    def passed(self, entered: Tensor | None = None) -> Passed:
        """What was recorded."""
        return Passed(tuple(self._norms), tuple(self._attended), entered)

    def enter(self, module: Any, plane: Tensor, at: At) -> Tensor:  # noqa: ARG002 - that of a part
        """The first convolution, out of a plane that is all there."""
        out: Tensor = module(laid_out(plane))
        return out

    def conv(self, module: Any, x: Tensor, at: At) -> Tensor:  # noqa: ARG002
        """3 × 3, with zeros beyond the borders."""
        out: Tensor = module(x)
        return out

    def point(self, module: Any, x: Tensor) -> Tensor:
        """1 × 1."""
        out: Tensor = module(x)
        return out

    def grow(self, module: Any, x: Tensor, at: At, coarser: At) -> Tensor:  # noqa: ARG002
        """An `Upsample2D`: each pixel twice along both sides, then a convolution."""
        out: Tensor = module.conv(F.interpolate(x, scale_factor=2.0, mode="nearest"))
        return out

    def shrink(self, module: Any, x: Tensor, at: At, finer: At) -> Tensor:  # noqa: ARG002
        """A `Downsample2D`: stride 2 over a plane with one more row and column behind it."""
        return F.conv2d(F.pad(x, (0, 1, 0, 1)), module.conv.weight, module.conv.bias, stride=2)

    def norm(self, module: Any, x: Tensor, at: At) -> Tensor:  # noqa: ARG002
        """Group normalisation."""
        out, mean, steepness = _normed(module, x)
        self._norms.append((mean, steepness, _varied(x, mean, steepness)))
        return out

    def resnet(self, block: Any, x: Tensor, at: At) -> Tensor:
        self._check()
        inner = self.conv(block.conv1, F.silu(self.norm(block.norm1, x, at), inplace=True), at)
        inner = self.conv(block.conv2, F.silu(self.norm(block.norm2, inner, at), inplace=True), at)
        beside = x if block.conv_shortcut is None else self.point(block.conv_shortcut, x)
        return inner.add_(beside).div_(block.output_scale_factor)

    def attend(self, block: Any, x: Tensor, at: At) -> Tensor:
        """Every cell asks, and the whole picture answers."""
        self._check()
        tokens = self.tokens(self.norm(block.group_norm, x, at))
        asked, keys, values = (
            each(tokens).unflatten(2, (block.heads, -1)).transpose(1, 2)
            for each in (block.to_q, block.to_k, block.to_v)
        )
        keys, values = self.known(keys, values)
        self._attended.append((keys, values))
        answered = F.scaled_dot_product_attention(asked, keys, values).transpose(1, 2).flatten(2)
        out: Tensor = (self.laid(block.to_out[0](answered), x) + x) / block.rescale_output_factor
        return out

    def tokens(self, x: Tensor) -> Tensor:
        """[1, cells, C]"""
        return x.flatten(2).transpose(1, 2)

    def laid(self, tokens: Tensor, like: Tensor) -> Tensor:
        """Back again."""
        out: Tensor = tokens.transpose(1, 2).unflatten(2, like.shape[-2:])
        return out

    def known(self, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Of the whole picture, [1, heads, cells, width]."""
        return keys, values

    def middle(self, block: Any, x: Tensor, at: At) -> Tensor:
        """A `UNetMidBlock2D`."""
        x = self.resnet(block.resnets[0], x, at)
        for attention, resnet in zip(block.attentions, block.resnets[1:], strict=True):
            if attention is not None:
                x = self.attend(attention, x, at)
            x = self.resnet(resnet, x, at)
        return x


def laid_out(x: Tensor) -> Tensor:
    """A plane with its channels side by side on a CPU, where convolutions are faster so; what follows keeps to it."""
    if x.device.type != "cpu":
        return x.contiguous()
    _, channels, height, width = x.shape
    wanted = (channels * height * width, 1, width * channels, channels)
    # not `contiguous`: it leaves the strides of sides of one pixel as they are, by which others tell the order
    return x if x.stride() == wanted else x.clone(memory_format=torch.channels_last)


def _normed(module: Any, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """A plane normalised by itself; its mean and one over its deviation, [groups] in float32."""
    out, mean, steepness = torch.native_group_norm(
        laid_out(x), module.weight, module.bias, 1, x.shape[1], x[0, 0].numel(), module.num_groups, module.eps
    )
    return out, mean[0].float(), steepness[0].float()


def _varied(x: Tensor, mean: Tensor, steepness: Tensor) -> Tensor:
    """How varied the blocks of a plane are, [groups, GRID, GRID]: on average 1."""
    thinned = x[0, :, :: max(1, x.shape[2] // SAMPLED), :: max(1, x.shape[3] // SAMPLED)].float()
    apart = (thinned.unflatten(0, (len(mean), -1)) - mean[:, None, None, None]) * steepness[:, None, None, None]
    return F.adaptive_avg_pool2d(apart.square().mean(dim=1), GRID)
