"""The blocks of diffusers' `AutoencoderKL`, run over a part of their planes with what a pass over the whole found.

Two things in such a network look at the whole picture: group normalisation, whose mean and deviation are of the whole
plane, and the attention in the middle. A pass over the whole writes both down; a part replays them, so that it is told
what the rest of the picture looks like without computing it. At the edges of a part a convolution sees the edge's own
pixels repeated: what lies within as many pixels as there are convolutions is not exact, hence a halo that is cut off.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from nanobana_engine.models.vae.parts import Part


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


class Unlike(Exception):
    """A part is too unlike what stood there when the statistics were taken: they would be others with it."""


MOST_DRIFT = 0.25
"""Of the variances that a layer normalises with, on average, that a part may change by what is new in it."""
GRID, SAMPLED = 8, 64
"""Blocks along a side of a plane whose variance is recorded, and pixels along it that are looked at for that."""


class Walk:
    """One pass. Over the whole it records, over a part it replays what was recorded.

    Args:
        passed: None records.
        own: the part of the coarsest level whose keys and values are taken from this pass: not those of its halo, which
            near its edges are not exact.
        check: called between blocks; may raise, to give up.
    """

    def __init__(
        self, passed: Passed | None = None, own: Part | None = None, check: Callable[[], None] = lambda: None
    ) -> None:
        self._replayed = passed
        self._own = own
        self._check = check
        self._norms: list[tuple[Tensor, Tensor, Tensor]] = []
        self._attended: list[tuple[Tensor, Tensor]] = []
        self._drifted = 0.0 if passed is None else passed.drift
        self._drift = 0.0
        """By how much the part would change the variances of a layer, on average; of the worst layer."""

    def passed(self, entered: Tensor | None = None) -> Passed:
        """What was recorded; after a part, the earlier pass with what is new in it."""
        return Passed(tuple(self._norms), tuple(self._attended), entered, self._drifted + self._drift)

    def conv(self, module: Any, x: Tensor, part: Part) -> Tensor:
        """3 × 3; zeros beyond the picture's borders, the edge repeated beyond a part's own."""
        if part.is_whole:
            out: Tensor = module(x)
            return out
        return F.conv2d(_framed(x, part, (1, 1, 1, 1)), module.weight, module.bias)

    def shrink(self, module: Any, x: Tensor, part: Part) -> Tensor:
        """A `Downsample2D`: stride 2 over a plane with one more row and column behind it."""
        return F.conv2d(_framed(x, part, (0, 1, 0, 1)), module.conv.weight, module.conv.bias, stride=2)

    def norm(self, module: Any, x: Tensor, part: Part) -> Tensor:
        """Group normalisation of [1, C, h, w].

        Raises:
            Unlike: on a flat picture, say, everything that is not flat would be blown up.
        """
        if self._replayed is None:
            out, mean, steepness = _normed(module, x)
            self._norms.append((mean, steepness, _varied(x, mean, steepness)))
            return out
        mean, steepness, before = (each.to(x.device) for each in self._replayed.norms[len(self._norms)])
        self._norms.append((mean, steepness, before))
        _, middle, own = _normed(module, x)
        varied = (own**-2 - module.eps + (middle - mean).square()) * steepness.square()
        changed = varied - before[(slice(None), *_blocks(part))].mean(dim=(1, 2))
        self._drift = max(self._drift, part.share * float(changed.abs().mean()))
        if self._drifted + self._drift > MOST_DRIFT:
            raise Unlike
        each = module.num_channels // module.num_groups
        scale = steepness.repeat_interleave(each) * module.weight.float()
        shift = module.bias.float() - mean.repeat_interleave(each) * scale
        return torch.addcmul(shift.to(x)[None, :, None, None], x, scale.to(x)[None, :, None, None])

    def resnet(self, block: Any, x: Tensor, part: Part) -> Tensor:
        self._check()
        inner = self.conv(block.conv1, F.silu(self.norm(block.norm1, x, part), inplace=True), part)
        inner = self.conv(block.conv2, F.silu(self.norm(block.norm2, inner, part), inplace=True), part)
        beside = x if block.conv_shortcut is None else block.conv_shortcut(x)
        out: Tensor = (beside + inner) / block.output_scale_factor
        return out

    def attend(self, block: Any, x: Tensor, part: Part) -> Tensor:
        """The part asks, and the whole picture answers: with its own newest keys and values where it is itself."""
        self._check()
        height, width = x.shape[-2:]
        tokens = self.norm(block.group_norm, x, part).flatten(2).transpose(1, 2)
        asked, keys, values = (
            each(tokens).unflatten(2, (block.heads, -1)).transpose(1, 2)
            for each in (block.to_q, block.to_k, block.to_v)
        )
        if self._replayed is not None:
            own, kept = self._own or part, self._replayed.attended[len(self._attended)]
            keys, values = (_replaced(old, new, part, own) for old, new in zip(kept, (keys, values), strict=True))
        self._attended.append((keys, values))
        answered = F.scaled_dot_product_attention(asked, keys, values).transpose(1, 2).flatten(2)
        told = block.to_out[0](answered).transpose(1, 2).unflatten(2, (height, width))
        out: Tensor = (told + x) / block.rescale_output_factor
        return out

    def middle(self, block: Any, x: Tensor, part: Part) -> Tensor:
        """A `UNetMidBlock2D`."""
        x = self.resnet(block.resnets[0], x, part)
        for attention, resnet in zip(block.attentions, block.resnets[1:], strict=True):
            if attention is not None:
                x = self.attend(attention, x, part)
            x = self.resnet(resnet, x, part)
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


def _blocks(part: Part) -> tuple[slice, slice]:
    """Rows and columns of the blocks that a part touches."""
    box, (width, height) = part.box, part.size
    return (
        slice(box.y0 * GRID // height, -(-box.y1 * GRID // height)),
        slice(box.x0 * GRID // width, -(-box.x1 * GRID // width)),
    )


def _framed(x: Tensor, part: Part, frame: tuple[int, int, int, int]) -> Tensor:
    """A part with pixels around it: left, right, top, bottom."""
    box, (width, height) = part.box, part.size
    left, right, top, bottom = frame
    out = F.pad(x, frame, mode="replicate")
    if left and box.x0 == 0:
        out[..., :, 0] = 0.0
    if right and box.x1 == width:
        out[..., :, -1] = 0.0
    if top and box.y0 == 0:
        out[..., 0, :] = 0.0
    if bottom and box.y1 == height:
        out[..., -1, :] = 0.0
    return out


def _replaced(old: Tensor, new: Tensor, part: Part, own: Part) -> Tensor:
    """Rows of the whole plane, [1, heads, cells, width], with those of `own` out of a part's."""
    width, height = part.size
    rows = old.to(new).unflatten(2, (height, width)).clone()
    box = own.box
    rows[:, :, box.y0 : box.y1, box.x0 : box.x1] = new.unflatten(2, (part.box.height, part.box.width))[
        (slice(None), slice(None), *own.of(part))
    ]
    out: Tensor = rows.flatten(2, 3)
    return out
