"""Every walker is the block of diffusers that it is named after, and refuses what is not that block (E9)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from nanobana_engine.sparse import Executor, UnknownBlock
from nanobana_engine.sparse.attention import CrossAttention, SelfAttention, Transformer, TransformerBlock
from nanobana_engine.sparse.blocks import Down, Mid, Resnet, Up
from nanobana_engine.sparse.call import Call, Parts, Prompt
from nanobana_engine.sparse.geometry import Shape
from nanobana_engine.sparse.layers import Conv3, Pointwise, ReplayedNorm
from nanobana_engine.sparse.pack import Pack
from nanobana_engine.sparse.record import Recorder, Sites
from support.sparse import WIDTH, cells, sd_unet, xl_unet

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
FINE, COARSE = (8, 12), (4, 6)
TEMB = 32
"""Width of the tiny networks' embedding of the timestep."""
DICE = torch.Generator().manual_seed(3)
PROMPT = torch.randn((7, WIDTH), generator=DICE)
EMBEDDING = torch.randn((1, TEMB), generator=DICE)


@pytest.fixture(autouse=True)
def _inference() -> Any:
    with torch.inference_mode():
        yield


def rows_of(plane: Tensor) -> Tensor:
    """[1, channels, h, w] → [cells, channels]."""
    return plane[0].flatten(1).t()


def on_cells(module: Any) -> Callable[[Tensor], Tensor]:
    """A module that takes [1, cells, channels], fed with a plane."""
    return lambda plane: module(plane.flatten(2).transpose(1, 2)).transpose(1, 2).view(1, -1, *plane.shape[2:])


@dataclass
class Case:
    """A block and its walker: what each makes of a plane, at the same levels."""

    kind: str
    module: Any
    make: Callable[[Any, Sites], Callable[[Tensor, Call], Tensor]]
    dense: Callable[[Any, Tensor], Tensor]
    channels: int
    start: int = 0
    end: int = 0


def _up(module: Any, asides: list[int], x: Tensor) -> Tensor:
    answer: Tensor = module(
        hidden_states=x, res_hidden_states_tuple=tuple(_aside(each) for each in asides), temb=EMBEDDING,
        **({"encoder_hidden_states": PROMPT[None]} if hasattr(module, "attentions") else {}),
    )  # fmt: skip
    return answer


def _aside(channels: int) -> Tensor:
    return torch.randn((1, channels, *COARSE), generator=torch.Generator().manual_seed(channels))


def _walked_up(module: Any, asides: list[int], sites: Sites) -> Callable[[Tensor, Call], Tensor]:
    walker = Up(module, "it", sites)
    return lambda x, call: walker(
        x, call, [rows_of(_aside(each))[call.pack.shapes[0].levels[1].cells] for each in asides]
    )


def _walked_down(module: Any, sites: Sites) -> Callable[[Tensor, Call], Tensor]:
    walker = Down(module, "it", sites)
    return lambda x, call: walker(x, call)[0]


def _conv(kind: Any) -> Callable[[Any, Sites], Any]:
    return lambda module, sites: Conv3(module.conv, "it", sites, kind, site=module if kind == "up" else None)


def _told(module: Any, x: Tensor) -> Tensor:
    answer: Tensor = module(x, EMBEDDING)
    return answer


def _with_prompt(module: Any, x: Tensor) -> Tensor:
    answer: Tensor = module(x, encoder_hidden_states=PROMPT[None], return_dict=False)[0]
    return answer


def _cases() -> list[Case]:
    sd, xl = sd_unet(), xl_unet()
    down, up = sd.down_blocks, sd.up_blocks
    transformer = down[0].attentions[0]
    block = transformer.transformer_blocks[0]

    def asking(module: Any) -> Callable[[Tensor], Tensor]:
        return on_cells(lambda rows: module(rows, encoder_hidden_states=PROMPT[None]))

    return [
        Case("Conv2d", sd.conv_in, lambda m, s: Conv3(m, "it", s), lambda m, x: m(x), 9),
        Case(
            "GroupNorm", down[0].resnets[0].norm1, lambda m, s: ReplayedNorm(m, "it", s), lambda m, x: m(x), 8
        ),
        Case(
            "Conv2d 1x1", down[1].resnets[0].conv_shortcut, lambda m, _: lambda x, __: Pointwise(m, "it")(x),
            lambda m, x: m(x), 8,
        ),
        Case("ResnetBlock2D", down[0].resnets[0], lambda m, s: Resnet(m, "it", s), _told, 8),
        Case("ResnetBlock2D that widens", down[1].resnets[0], lambda m, s: Resnet(m, "it", s), _told, 8),
        Case("Downsample2D", down[0].downsamplers[0], _conv("down"), lambda m, x: m(x), 8, end=1),
        Case("Upsample2D", up[0].upsamplers[0], _conv("up"), lambda m, x: m(x), 24, start=1),
        Case("Attention to the picture", block.attn1, lambda m, s: SelfAttention(m, "it", s),
             lambda m, x: on_cells(m)(x), 8),
        Case("Attention to the prompt", block.attn2, lambda m, _: CrossAttention(m, "it"),
             lambda m, x: asking(m)(x), 8),
        Case("BasicTransformerBlock", block, lambda m, s: TransformerBlock(m, "it", s),
             lambda m, x: asking(m)(x), 8),
        Case("Transformer2DModel", transformer, lambda m, s: Transformer(m, "it", s), _with_prompt, 8),
        Case("Transformer2DModel with linear projections", xl.down_blocks[1].attentions[1],
             lambda m, s: Transformer(m, "it", s), _with_prompt, 16),
        Case("CrossAttnDownBlock2D", down[0], _walked_down,
             lambda m, x: m(x, EMBEDDING, encoder_hidden_states=PROMPT[None])[0], 8, end=1),
        Case("DownBlock2D", xl.down_blocks[0], _walked_down, lambda m, x: m(x, EMBEDDING)[0], 8, end=1),
        Case("UNetMidBlock2DCrossAttn", sd.mid_block, lambda m, s: Mid(m, "it", s),
             lambda m, x: m(x, EMBEDDING, encoder_hidden_states=PROMPT[None]), 24),
        Case("UpBlock2D", up[0], lambda m, s: _walked_up(m, [16, 24, 24], s),
             lambda m, x: _up(m, [16, 24, 24], x), 24, start=1),
        Case("CrossAttnUpBlock2D", up[1], lambda m, s: _walked_up(m, [8, 16, 16], s),
             lambda m, x: _up(m, [8, 16, 16], x), 24, start=1),
    ]  # fmt: skip


CASES = {case.kind: case for case in _cases()}


@pytest.mark.parametrize("active", [(0, 0, 12, 8), (5, 3, 9, 7)], ids=["all", "some"])
@pytest.mark.parametrize("kind", CASES)
def test_e9_the_walker_of(kind: str, active: tuple[int, int, int, int]) -> None:
    case, sites = CASES[kind], Sites()
    case.module.eval()
    walk = case.make(case.module, sites)
    size = (FINE, COARSE)[case.start]
    x = torch.randn((1, case.channels, *size), generator=torch.Generator().manual_seed(1))
    with Recorder(sites, None).listening(1) as records:
        theirs = rows_of(case.dense(case.module, x))
    shape = Shape(cells(active, FINE), 2)
    call = Call(
        pack=Pack([shape]), records=records, embedding=F.silu(EMBEDDING), prompts=[Prompt(PROMPT)], parts=Parts(),
        writes=[True], level=case.start,
    )  # fmt: skip
    ours = walk(rows_of(x)[shape.levels[case.start].cells], call)
    assert call.level == case.end
    assert (ours - theirs[shape.levels[case.end].cells]).abs().max() < 1e-5 * theirs.abs().max()


def _set(path: str, value: Any) -> Callable[[Any], None]:
    def change(unet: Any) -> None:
        *parents, name = path.split(".")
        owner = unet.get_submodule(".".join(parents))
        setattr(owner, name, value)

    return change


def _configured(**facts: Any) -> Callable[[Any], None]:
    return lambda unet: unet.register_to_config(**facts)


def _freed(unet: Any) -> None:
    unet.enable_freeu(s1=0.9, s2=0.2, b1=1.2, b2=1.4)


class Gate(torch.nn.Module):
    """A part that a later version might add."""


class ResnetBlock2DPlus(torch.nn.Module):
    """Another block."""


class OtherProcessor:
    """As an image prompt's."""


CHANGES: dict[str, tuple[Callable[[Any], None], str]] = {
    "a new part of a resnet": (_set("down_blocks.1.resnets.0.gate", Gate()), "down_blocks.1.resnets.0"),
    "another resnet": (_set("mid_block.resnets.1", ResnetBlock2DPlus()), "mid_block.resnets.1"),
    "a scale in a resnet": (_set("mid_block.resnets.0.time_embedding_norm", "scale_shift"), "mid_block.resnets.0"),
    "another activation": (
        _set("mid_block.resnets.0.nonlinearity", torch.nn.GELU()), "mid_block.resnets.0.nonlinearity",
    ),
    "another processor": (
        _set("down_blocks.0.attentions.0.transformer_blocks.0.attn1.processor", OtherProcessor()),
        "down_blocks.0.attentions.0.transformer_blocks.0.attn1",
    ),
    "normed queries": (
        _set("down_blocks.0.attentions.0.transformer_blocks.0.attn1.norm_q", torch.nn.LayerNorm(4)),
        "down_blocks.0.attentions.0.transformer_blocks.0.attn1",
    ),
    "a fuser": (
        _set("up_blocks.1.attentions.2.transformer_blocks.0.fuser", Gate()),
        "up_blocks.1.attentions.2.transformer_blocks.0",
    ),
    "another norm": (
        _set("up_blocks.1.attentions.2.transformer_blocks.0.norm_type", "ada_norm"),
        "up_blocks.1.attentions.2.transformer_blocks.0",
    ),
    "a patched transformer": (_set("mid_block.attentions.0.is_input_continuous", False), "mid_block.attentions.0"),
    "a wrapped convolution": (_set("conv_out", torch.nn.Sequential(torch.nn.Conv2d(8, 4, 3))), "conv_out"),
    "a wider kernel": (_set("conv_in", torch.nn.Conv2d(9, 8, 5, padding=2)), "conv_in"),
    "padding that wraps around": (
        _set("up_blocks.0.resnets.0.conv1.padding_mode", "circular"), "up_blocks.0.resnets.0.conv1",
    ),
    "pooling": (_set("down_blocks.0.downsamplers.0.use_conv", False), "down_blocks.0.downsamplers.0"),
    "padding on one side": (_set("down_blocks.0.downsamplers.0.padding", 0), "down_blocks.0.downsamplers.0"),
    "a transposed convolution": (_set("up_blocks.0.upsamplers.0.use_conv_transpose", True), "up_blocks.0.upsamplers.0"),
    "another middle": (_set("mid_block", ResnetBlock2DPlus()), "mid_block"),
    "another way down": (_set("down_blocks.2", ResnetBlock2DPlus()), "down_blocks.2"),
    "another way up": (_set("up_blocks.0", ResnetBlock2DPlus()), "up_blocks.0"),
    "FreeU": (_freed, "up_blocks.0"),
    "a position net": (_set("position_net", Gate()), "unet"),
    "classes": (_configured(class_embed_type="timestep"), "unet"),
    "a picture as prompt": (_configured(addition_embed_type="image"), "unet"),
    "a centred sample": (_configured(center_input_sample=True), "unet"),
    "a network in training": (lambda unet: unet.train(), "unet"),
}  # fmt: skip


@pytest.mark.parametrize("change", CHANGES)
def test_e9_the_executor_refuses(change: str) -> None:
    unet = sd_unet()
    act, block = CHANGES[change]
    act(unet)
    with pytest.raises(UnknownBlock) as refused:
        Executor(unet)
    assert refused.value.block == block
