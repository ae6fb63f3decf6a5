"""What a Stable Diffusion is told in words: prompts through its text encoder, each read once while it is remembered."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from nanobana_engine.memory import Memory
from nanobana_engine.models.base import Worn
from nanobana_engine.models.loras import Loras
from nanobana_engine.models.recent import Recent
from nanobana_engine.models.sd.reader import Reader

REMEMBERED = 64
"""Prompts whose embeddings are kept."""


class Prompts:
    """The text encoder of a loaded pipeline.

    Args:
        loras: of the same pipeline; they change what the encoder says.
    """

    def __init__(self, pipeline: Any, loras: Loras) -> None:
        self._pipeline = pipeline
        self._loras = loras
        self._readers = self._make_readers()
        self._read_lately: Recent[tuple[Tensor, Tensor | None]] = Recent(REMEMBERED)

    def remember_in(self, memory: Memory, model: str) -> None:
        """Prompts are remembered there from now on."""
        self._read_lately.remember_in(memory, model)

    @staticmethod
    def width(pipeline: Any) -> int:
        """Numbers of an embedded token."""
        return int(pipeline.text_encoder.config.hidden_size)

    def pieces(self, *prompts: str) -> int:
        """How many pieces the longest of them takes.

        Raises:
            BadInput: ``prompt_too_long``, ``bad_weight``.
        """
        return max(reader.pieces(words) for reader in self._readers for words in prompts)

    def embed(
        self, words: str, pieces: int, is_negative: bool, loras: tuple[Worn, ...]
    ) -> tuple[Tensor, Tensor | None]:
        """[pieces x length, width], and what XL takes besides.

        Raises:
            BadInput: ``bad_lora``, ``wrong_lora``.
        """
        asked = (words, pieces, is_negative, loras)
        return self._read_lately.get(asked, lambda: self._worn(*asked))

    @torch.inference_mode()
    def _worn(
        self, words: str, pieces: int, is_negative: bool, loras: tuple[Worn, ...]
    ) -> tuple[Tensor, Tensor | None]:
        self._loras.wear(loras)
        return self._read(words, pieces, is_negative)

    def _make_readers(self) -> list[Reader]:
        return [Reader(self._pipeline.tokenizer, self._pipeline.text_encoder.eval())]

    def _read(self, words: str, pieces: int, is_negative: bool) -> tuple[Tensor, Tensor | None]:  # noqa: ARG002 - XL's
        return self._readers[0].read(words, pieces).tokens, None
