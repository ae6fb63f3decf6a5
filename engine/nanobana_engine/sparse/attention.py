"""Transformer blocks on lists of active cells: everything but self-attention looks at one cell at a time anyway."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from nanobana_engine.sparse.call import Call
from nanobana_engine.sparse.layers import Pointwise, ReplayedNorm
from nanobana_engine.sparse.record import Sites, write
from nanobana_engine.sparse.refuse import UnknownBlock, check

PLAIN = {
    "spatial_norm": None, "group_norm": None, "norm_q": None, "norm_k": None, "norm_cross": None,
    "added_kv_proj_dim": None, "residual_connection": False, "rescale_output_factor": 1.0, "fused_projections": False,
    "is_causal": False, "only_cross_attention": False, "scale_qk": True,
}  # fmt: skip
"""Of an attention layer: what it would do besides."""


class SelfAttention:
    """Active cells ask; the whole picture answers: what was recorded of it, with the active cells' own rows put in."""

    def __init__(self, attention: Any, name: str, sites: Sites) -> None:
        _check_attention(attention, name)
        if attention.is_cross_attention:
            raise UnknownBlock(name, "attends to the prompt where it should to the picture")
        self._attention = attention
        self._name = name
        sites.attends[name] = attention

    def __call__(self, x: Tensor, call: Call) -> Tensor:
        layer = self._attention
        query, key, value = layer.to_q(x), layer.to_k(x), layer.to_v(x)
        made = torch.empty_like(query)
        for edit, span in enumerate(call.spans):
            keys, values = key[span], value[span]
            if call.parts.keys:
                record, cells = call.records[edit], call.cells(edit)
                keys = _put(record.keys[self._name], cells, keys)
                values = _put(record.values[self._name], cells, values)
            made[span] = _attend(query[span], keys, values, layer.heads)
        for edit, span in enumerate(call.spans):
            if call.writes[edit]:
                record, cells = call.records[edit], call.cells(edit)
                write(record.keys[self._name], cells, key[span])
                write(record.values[self._name], cells, value[span])
        return _out(layer, made)


class CrossAttention:
    """Each edit's cells ask its own prompt."""

    def __init__(self, attention: Any, name: str) -> None:
        _check_attention(attention, name)
        if not attention.is_cross_attention:
            raise UnknownBlock(name, "attends to the picture where it should to the prompt")
        self._attention = attention
        self._name = name

    def __call__(self, x: Tensor, call: Call) -> Tensor:
        layer = self._attention
        query = layer.to_q(x)
        made = torch.empty_like(query)
        for span, (key, value) in zip(call.spans, self._words(call), strict=True):
            made[span] = _attend(query[span], key, value, layer.heads)
        return _out(layer, made)

    def _words(self, call: Call) -> list[tuple[Tensor, Tensor]]:
        """By edit, keys and values of its prompt."""
        kept = {id(each): each.kept[self._name] for each in call.prompts if self._name in each.kept}
        new = {id(each): each for each in call.prompts if id(each) not in kept}
        if new:
            tokens = torch.cat([each.tokens for each in new.values()])
            lengths = [len(each.tokens) for each in new.values()]
            projected = (self._attention.to_k(tokens).split(lengths), self._attention.to_v(tokens).split(lengths))
            for each, key, value in zip(new.values(), *projected, strict=True):
                kept[id(each)] = (key, value)
                if call.parts.prompts:
                    each.kept[self._name] = (key, value)
        return [kept[id(each)] for each in call.prompts]


class TransformerBlock:
    """diffusers' `BasicTransformerBlock` with layer norms, and attention to the picture, then to the prompt."""

    def __init__(self, block: Any, name: str, sites: Sites) -> None:
        check(
            block, "BasicTransformerBlock", name, ("norm1", "attn1", "norm2", "attn2", "norm3", "ff"),
            norm_type="layer_norm", pos_embed=None, only_cross_attention=False, _chunk_size=None,
        )  # fmt: skip
        check(block.ff, "FeedForward", f"{name}.ff", ("net",))
        self._block = block
        self._own = SelfAttention(block.attn1, f"{name}.attn1", sites)
        self._prompt = CrossAttention(block.attn2, f"{name}.attn2")

    def __call__(self, x: Tensor, call: Call) -> Tensor:
        block = self._block
        x = self._own(block.norm1(x), call).add_(x)
        x = self._prompt(block.norm2(x), call).add_(x)
        made: Tensor = block.ff(block.norm3(x)).add_(x)
        return made


class Transformer:
    """diffusers' `Transformer2DModel` over a picture."""

    def __init__(self, module: Any, name: str, sites: Sites) -> None:
        check(
            module, "Transformer2DModel", name, ("norm", "proj_in", "transformer_blocks", "proj_out"),
            is_input_continuous=True,
        )  # fmt: skip
        self._norm = ReplayedNorm(module.norm, f"{name}.norm", sites)
        self._into = Pointwise(module.proj_in, f"{name}.proj_in")
        self._blocks = [
            TransformerBlock(block, f"{name}.transformer_blocks.{n}", sites)
            for n, block in enumerate(module.transformer_blocks)
        ]
        self._out = Pointwise(module.proj_out, f"{name}.proj_out")

    def __call__(self, x: Tensor, call: Call) -> Tensor:
        inner = self._into(self._norm(x, call))
        for block in self._blocks:
            inner = block(inner, call)
        return self._out(inner).add_(x)


def _check_attention(attention: Any, name: str) -> None:
    check(attention, "Attention", name, ("to_q", "to_k", "to_v", "to_out", "processor"), **PLAIN)
    if type(attention.processor).__name__ != "AttnProcessor2_0":
        raise UnknownBlock(name, f"is run by a {type(attention.processor).__name__}")
    if len(attention.to_out) != 2:
        raise UnknownBlock(name, "has more at its end than a linear layer and dropout")


def _out(layer: Any, x: Tensor) -> Tensor:
    made: Tensor = layer.to_out[1](layer.to_out[0](x))
    return made


def _put(recorded: Tensor, cells: Tensor, rows: Tensor) -> Tensor:
    """A copy of what was recorded, [cells, width], with these rows in it."""
    return recorded.to(rows.dtype, copy=True).index_copy_(0, cells, rows)


def _attend(query: Tensor, key: Tensor, value: Tensor, heads: int) -> Tensor:
    """[n, width] over [m, width] twice."""
    query, key, value = (each.view(1, len(each), heads, -1).transpose(1, 2) for each in (query, key, value))
    return F.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2)[0]
