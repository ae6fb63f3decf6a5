"""An `AutoencoderKL` run by our own walk: the whole of a picture, recorded, or a part of it beside a recorded pass."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from nanobana.protocol.geometry import Box
from nanobana_engine.models.vae.parts import Part, margins
from nanobana_engine.models.vae.walk import Passed, Walk, laid_out

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
    walk = Walk(check=check)
    entered = _descended(vae, walk, picture, _whole(picture))
    return _settled(vae, walk, entered, _whole(entered)), walk.passed(entered)


def encode_part(
    vae: Any, picture: Tensor, latents: Tensor, changed: Part, halo: int, passed: Passed, check: Check = lambda: None
) -> tuple[Tensor, Passed]:
    """Encode what changed in a picture.

    The fine levels run over the changed cells and a halo; what they make is laid into what entered the coarsest level
    in the earlier pass, where a few cells more are computed, for there a convolution looks a whole cell further.

    Args:
        picture: all of it, [1, 3, H, W] in -1..1.
        latents: of the earlier picture, [1, c, h, w].
        changed: the latent cells in which pixels changed.
        halo: in cells: how far a change is followed in the fine levels, and how much more is computed and cut off.

    Returns:
        The latents of the picture, and the earlier pass with what is new in it.

    Raises:
        Unlike: the picture is too unlike the earlier one.
    """
    assert passed.entered is not None
    followed = changed.grown(halo)
    seen, new = followed.grown(halo), followed.grown(2 * halo)
    walk = Walk(passed, new, check)
    stride = 2 ** (len(vae.encoder.down_blocks) - 1)
    pixels = seen.scaled(stride)
    x = _descended(vae, walk, picture[(..., *pixels.of(_all(pixels)))], pixels)
    entered = laid_out(passed.entered.to(x).clone())
    entered[(..., *followed.of(_all(followed)))] = x[(..., *followed.of(seen))]
    wide = new.grown(2 * halo)
    settled = _settled(vae, walk, entered[(..., *wide.of(_all(wide)))], wide)
    out = latents.to(settled).clone()
    out[(..., *new.of(_all(new)))] = settled[(..., *new.of(wide))]
    return out, walk.passed(entered)


def decode_whole(vae: Any, latents: Tensor, check: Check = lambda: None) -> tuple[Tensor, Passed]:
    """[1, c, h, w] → the picture [1, 3, H, W] in -1..1, and what a part can be decoded beside."""
    walk = Walk(check=check)
    return _ascended(vae, walk, latents, _whole(latents), EXACT), walk.passed()


def decode_part(
    vae: Any, latents: Tensor, part: Part, halo: int, passed: Passed, check: Check = lambda: None
) -> Tensor:
    """Decode some cells.

    Args:
        latents: all of them, [1, c, h, w].
        halo: pixels of each level that are computed around the part and cut off, at the most.

    Returns:
        [1, 3, H', W'] of the part alone, in -1..1.

    Raises:
        Unlike: the part is too unlike what the earlier pass saw.
    """
    return _ascended(vae, Walk(passed, part, check), latents, part, halo)


def _descended(vae: Any, walk: Walk, x: Tensor, part: Part) -> Tensor:
    """The encoder down to what enters its coarsest level."""
    *fine, _ = vae.encoder.down_blocks
    x = walk.conv(vae.encoder.conv_in, laid_out(x), part)
    for block in fine:
        for resnet in block.resnets:
            x = walk.resnet(resnet, x, part)
        x = walk.shrink(block.downsamplers[0], x, part)
        part = part.halved()
    return x


def _settled(vae: Any, walk: Walk, x: Tensor, part: Part) -> Tensor:
    """The encoder's coarsest level, its middle and its end; the mean of the latents."""
    encoder = vae.encoder
    for resnet in encoder.down_blocks[-1].resnets:
        x = walk.resnet(resnet, x, part)
    x = walk.middle(encoder.mid_block, x, part)
    x = walk.conv(encoder.conv_out, F.silu(walk.norm(encoder.conv_norm_out, x, part), inplace=True), part)
    if vae.quant_conv is not None:
        x = vae.quant_conv(x)
    return x.chunk(2, dim=1)[0]


def _ascended(vae: Any, walk: Walk, latents: Tensor, part: Part, halo: int) -> Tensor:
    """The decoder, each level over the part and its margin."""
    decoder = vae.decoder
    around = margins(convolutions(vae), halo)
    now = part.grown(around[0])
    x = laid_out(latents[(..., *now.of(_all(now)))])
    if vae.post_quant_conv is not None:
        x = vae.post_quant_conv(x)
    x = walk.middle(decoder.mid_block, walk.conv(decoder.conv_in, x, now), now)
    for level, block in enumerate(decoder.up_blocks):
        for resnet in block.resnets:
            x = walk.resnet(resnet, x, now)
        if level == len(decoder.up_blocks) - 1:
            break
        finer = part.scaled(2 ** (level + 1)).grown(around[level + 1])
        below = finer.grown(1).halved()  # a pixel more, for the convolution after it
        x = F.interpolate(x[(..., *below.of(now))], scale_factor=2.0, mode="nearest")
        x = walk.conv(block.upsamplers[0].conv, x, below.scaled(2))[(..., *finer.of(below.scaled(2)))]
        now = finer
    x = walk.conv(decoder.conv_out, F.silu(walk.norm(decoder.conv_norm_out, x, now), inplace=True), now)
    return x[(..., *part.scaled(2 ** (len(decoder.up_blocks) - 1)).of(now))]


def decode_share(vae: Any, part: Part, halo: int) -> float:
    """How much of a whole pass `decode_part` is, about: the levels cost much the same."""
    around = margins(convolutions(vae), halo)
    return sum(part.scaled(2**level).grown(by).share for level, by in enumerate(around)) / len(around)


def encode_share(part: Part, halo: int) -> float:
    """How much of a whole pass `encode_part` is, about."""
    return part.grown(2 * halo).share


def convolutions(vae: Any) -> list[int]:
    """Of 3 × 3, in each level of the decoder, the coarsest first."""
    decoder = vae.decoder
    counts = [2 * len(block.resnets) + 1 for block in decoder.up_blocks]  # with the one that follows growing
    counts[0] += 2 * len(decoder.mid_block.resnets)
    counts[-1] += 1
    return counts


def _all(part: Part) -> Part:
    """The whole level of a part."""
    return Part(Box(0, 0, *part.size), part.size)


def _whole(plane: Tensor) -> Part:
    """All of a plane, [1, C, h, w]."""
    size = (plane.shape[-1], plane.shape[-2])
    return Part(Box(0, 0, *size), size)
