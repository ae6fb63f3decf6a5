"""How large a model's weights will be in memory, from the shapes that its files name; nothing is loaded. No torch."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from nanobana_engine.models.preset import Preset

ITEM_BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}
SMALL_FROM = 1 << 14
"""Numbers of a weight that is kept in eight bits, where weights are (`int8`)."""
TORCHAO: Final = "torchao-int8"
"""Weights whose linear layers multiply in eight bits (`quantized`)."""
WORDS_FROM = 30_000
"""Rows of a weight that is a table of words, not a linear layer; no layer of the known models has so many."""
ENCODER, NETWORK = "text_encoder", ("unet", "transformer")
"""How pipelines begin the names of their large parts; the others are small, and stay as they are."""


def is_large(part: str) -> bool:
    """Whether a part is a network or a text encoder: put aside, and kept in eight bits."""
    return part.startswith((ENCODER, *NETWORK))


@dataclass(frozen=True, slots=True)
class Sizes:
    """Bytes of weights."""

    parts: Mapping[str, int]
    """By part, e.g. ``text_encoder``."""

    @property
    def all(self) -> int:
        return sum(self.parts.values())

    @property
    def largest(self) -> int:
        """What must be there at once at the least: one part, while it is called."""
        return max(self.parts.values(), default=0)


def sizes_of(shapes: Mapping[str, Sequence[tuple[int, ...]]], preset: Preset, device: str) -> Sizes:
    """Of a model whose parts have weights of these shapes, on a device."""
    item = ITEM_BYTES["float32" if device == "cpu" else preset.dtype]

    def kept(part: str, shape: tuple[int, ...]) -> int:
        numbers = math.prod(shape)
        if is_large(part) and _is_small(shape, preset):
            return numbers + 5 * shape[0] if preset.weights == TORCHAO else numbers + 4 * shape[0]
        return numbers * item

    return Sizes({part: sum(kept(part, shape) for shape in each) for part, each in shapes.items()})


def _is_small(shape: tuple[int, ...], preset: Preset) -> bool:
    """Whether a weight of this shape is kept in eight bits; for torchao without its name, so nearly."""
    if preset.weights == TORCHAO:
        return len(shape) == 2 and shape[0] < WORDS_FROM
    return preset.weights == "int8" and len(shape) >= 2 and math.prod(shape) >= SMALL_FROM
