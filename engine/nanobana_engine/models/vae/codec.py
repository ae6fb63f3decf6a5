"""An `AutoencoderKL` run by our own walk: the whole of a picture, recorded, or a part of it beside a recorded pass.

Parts are given as the cells that they are of, [h, w], and may have any shape.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from nanobana_engine.models.vae.beside import Beside
from nanobana_engine.models.vae.boxes import Bools, Boxes
from nanobana_engine.models.vae.parts import (
    decoded_over,
    encoded_over,
    encoder_margins,
    finer,
    grown,
    margins,
    side_of,
)
from nanobana_engine.models.vae.walk import At, Passed, Walk, laid_out

Check = Callable[[], None]

EXACT = 64
"""A halo within which every convolution of such a network lies: nothing of a part is cut short."""


def is_known(vae: Any) -> bool:
    """Whether it is built of the blocks that this walk knows; their equality with diffusers is tested."""
    from diffusers import AutoencoderKL
    from diffusers.models.attention_processor import Attention
    from diffusers.models.resnet import ResnetBlock2D

    if type(vae) is not AutoencoderKL or vae.use_tiling:
        return False
    downs, ups = vae.encoder.down_blocks, vae.decoder.up_blocks
    resnets = [each for block in (*downs, *ups, vae.encoder.mid_block, vae.decoder.mid_block) for each in block.resnets]
    attentions = [each for block in (vae.encoder.mid_block, vae.decoder.mid_block) for each in block.attentions]
    return (
        all(type(block).__name__ == "DownEncoderBlock2D" for block in downs)
        and all(type(block).__name__ == "UpDecoderBlock2D" for block in ups)
        and all(_is_plain(each) for each in resnets if isinstance(each, ResnetBlock2D))
        and all(isinstance(each, ResnetBlock2D) for each in resnets)
        and all(each is None or (isinstance(each, Attention) and _is_usual(each)) for each in attentions)
        and all(bool(block.downsamplers) == (n < len(downs) - 1) for n, block in enumerate(downs))
        and all(block.downsamplers[0].padding == 0 for block in downs[:-1])
        and all(bool(block.upsamplers) == (n < len(ups) - 1) for n, block in enumerate(ups))
    )


def _is_plain(block: Any) -> bool:
    return (
        block.time_emb_proj is None
        and block.time_embedding_norm in ("default", "group")  # without a time both mean nothing
        and block.upsample is None
        and block.downsample is None
        and isinstance(block.nonlinearity, torch.nn.SiLU)
    )


def _is_usual(block: Any) -> bool:
    return (
        block.spatial_norm is None
        and block.group_norm is not None
        and block.norm_q is None
        and block.norm_k is None
        and bool(block.residual_connection)
    )


def encode_whole(vae: Any, picture: Tensor, check: Check = lambda: None) -> tuple[Tensor, Passed]:
    """[1, 3, H, W] in -1..1 → the latents' mean [1, c, h, w], and what a part can be encoded beside."""
    walk = Walk(check)
    entered = _descended(vae, walk, picture, [None] * len(vae.encoder.down_blocks))
    latents = _settled(vae, walk, entered, None)
    return latents, walk.passed(entered)


@dataclass(frozen=True, slots=True)
class Encoding:
    """What is computed to encode what changed."""

    followed: Bools
    """[h, w]: as far as a change is followed in the fine levels."""
    new: Bools
    """[h, w]: the cells that get new latents."""
    fine: list[Boxes]
    """Levels, the finest first, and what enters the coarsest."""
    coarse: Boxes


def encoding(vae: Any, changed: Bools, halo: int) -> Encoding:
    """The fine levels run over the changed cells and a halo; what they make is laid into what entered the coarsest
    level in the earlier pass, where a few cells more are computed, for there a convolution looks a whole cell further.

    Args:
        changed: [h, w]: the cells in which pixels changed.
        halo: in cells: how far a change is followed in the fine levels, and how much more is computed and cut off.
    """
    followed, new = grown(changed, halo), grown(changed, 3 * halo)
    counts = [2 * len(block.resnets) + 1 for block in vae.encoder.down_blocks[:-1]]
    fine = encoded_over(followed, encoder_margins(counts, halo))
    return Encoding(followed, new, fine, Boxes.over(grown(new, 2 * halo), side_of(0)))


def encode_part(
    vae: Any, picture: Tensor, latents: Tensor, todo: Encoding, passed: Passed, check: Check = lambda: None
) -> tuple[Tensor, Passed]:
    """Encode what changed in a picture.

    Args:
        picture: all of it, [1, 3, H, W] in -1..1.
        latents: of the earlier picture, [1, c, h, w].

    Returns:
        The latents of the picture, and the earlier pass with what is new in it.

    Raises:
        Unlike: the picture is too unlike the earlier one.
    """
    assert passed.entered is not None
    walk = Beside(passed, todo.new, check)
    made = _descended(vae, walk, picture, list(todo.fine))
    entered = laid_out(passed.entered.to(made).clone())
    _lay(entered, made, todo.fine[-1], todo.followed)
    settled = _settled(vae, walk, walk.take(entered, todo.coarse), todo.coarse)
    out = latents.to(settled).clone()
    _lay(out, settled, todo.coarse, todo.new)
    return out, walk.passed(entered)


def decode_whole(vae: Any, latents: Tensor, check: Check = lambda: None) -> tuple[Tensor, Passed]:
    """[1, c, h, w] → the picture [1, 3, H, W] in -1..1, and what a part can be decoded beside."""
    walk = Walk(check)
    picture = _ascended(vae, walk, latents, [None] * len(vae.decoder.up_blocks))
    return picture, walk.passed()


def decoding(vae: Any, wanted: Bools, halo: int) -> list[Boxes]:
    """What each level of the decoder computes for some cells, [h, w], the coarsest first.

    Args:
        halo: pixels of each level that are computed around them and cut off, at the most.
    """
    return decoded_over(wanted, margins(convolutions(vae), halo))


def decode_part(vae: Any, latents: Tensor, wanted: Bools, levels: Sequence[Boxes], passed: Passed) -> Tensor:
    """Decode some cells.

    Args:
        latents: all of them, [1, c, h, w].
        levels: what is computed for the wanted cells.

    Returns:
        The pixels of the wanted cells, [pixels, 3] in -1..1, row by row of the picture.

    Raises:
        Unlike: the part is too unlike what the earlier pass saw.
    """
    made = _ascended(vae, Beside(passed, wanted), latents, list(levels))
    rows = levels[-1].places[finer(wanted, 2 ** (len(levels) - 1))]
    return made[torch.from_numpy(rows).to(made.device)]


def _descended(vae: Any, walk: Walk, picture: Tensor, levels: Sequence[At]) -> Tensor:
    """The encoder down to what enters its coarsest level.

    Args:
        levels: the finest first, and last what enters the coarsest.
    """
    x = walk.enter(vae.encoder.conv_in, picture, levels[0])
    for n, block in enumerate(vae.encoder.down_blocks[:-1]):
        for resnet in block.resnets:
            x = walk.resnet(resnet, x, levels[n])
        x = walk.shrink(block.downsamplers[0], x, levels[n + 1], levels[n])
    return x


def _settled(vae: Any, walk: Walk, x: Tensor, at: At) -> Tensor:
    """The encoder's coarsest level, its middle and its end; the mean of the latents."""
    encoder = vae.encoder
    for resnet in encoder.down_blocks[-1].resnets:
        x = walk.resnet(resnet, x, at)
    x = walk.middle(encoder.mid_block, x, at)
    x = walk.conv(encoder.conv_out, F.silu(walk.norm(encoder.conv_norm_out, x, at), inplace=True), at)
    if vae.quant_conv is not None:
        x = walk.point(vae.quant_conv, x)
    return x.chunk(2, dim=1)[0]


def _ascended(vae: Any, walk: Walk, latents: Tensor, levels: Sequence[At]) -> Tensor:
    """The decoder.

    Args:
        levels: the coarsest first.
    """
    decoder = vae.decoder
    if vae.post_quant_conv is not None:
        latents = vae.post_quant_conv(latents)
    x = walk.middle(decoder.mid_block, walk.enter(decoder.conv_in, latents, levels[0]), levels[0])
    for n, block in enumerate(decoder.up_blocks):
        for resnet in block.resnets:
            x = walk.resnet(resnet, x, levels[n])
        if n < len(decoder.up_blocks) - 1:
            x = walk.grow(block.upsamplers[0], x, levels[n + 1], levels[n])
    at = levels[-1]
    return walk.conv(decoder.conv_out, F.silu(walk.norm(decoder.conv_norm_out, x, at), inplace=True), at)


def _lay(plane: Tensor, rows: Tensor, at: Boxes, where: Bools) -> None:
    """Rows of some boxes into a plane, [1, C, h, w]."""
    found = torch.from_numpy(at.places[where]).to(rows.device)
    plane[0][:, torch.from_numpy(where).to(plane.device)] = rows[found].t()


def decode_share(vae: Any, levels: Sequence[Boxes]) -> float:
    """How much of a whole pass it is, in products."""
    decoder = vae.decoder
    costs = [_weights(block.resnets) for block in decoder.up_blocks]
    costs[0] += _weights(decoder.mid_block)
    costs[-1] += _weights(decoder.conv_out)
    for level, block in enumerate(decoder.up_blocks[:-1]):
        costs[level + 1] += _weights(block.upsamplers)
    return _share([cost * 4**level for level, cost in enumerate(costs)], levels)


def encode_share(vae: Any, todo: Encoding) -> float:
    """The same of what changed."""
    *fine, coarsest = vae.encoder.down_blocks
    costs = [_weights(block.resnets) + _weights(block.downsamplers) / 4 for block in fine]
    costs.append(_weights(coarsest.resnets) + _weights(vae.encoder.mid_block))
    return _share([cost / 4**level for level, cost in enumerate(costs)], [*todo.fine[:-1], todo.coarse])


def _weights(module: Any) -> int:
    return sum(weight.numel() for weight in module.parameters())


def _share(costs: Sequence[float], levels: Sequence[Boxes]) -> float:
    return sum(cost * at.share for cost, at in zip(costs, levels, strict=True)) / sum(costs)


def convolutions(vae: Any) -> list[int]:
    """Of 3 × 3, in each level of the decoder, the coarsest first."""
    decoder = vae.decoder
    counts = [2 * len(block.resnets) + 1 for block in decoder.up_blocks]  # with the one that follows growing
    counts[0] += 2 * len(decoder.mid_block.resnets)
    counts[-1] += 1
    return counts
