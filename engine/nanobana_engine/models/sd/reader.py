"""From a prompt with weights to embeddings: pieces of 75 tokens, as long as the prompt is, weighted word by word."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from nanobana.protocol.errors import BadInput
from nanobana_engine.models.words import weighted

MOST_PIECES = 4
"""Of a prompt; each is read by the encoder by itself, and the UNet attends to all of them."""


@dataclass(frozen=True, slots=True)
class Read:
    """What one encoder made of a prompt."""

    tokens: Tensor
    """[pieces x length, width]."""
    pooled: Tensor | None
    """[width'], of the first piece; of encoders with a projection only."""


class Reader:
    """One tokenizer and its CLIP text encoder.

    Args:
        from_end: which hidden layer is taken, counted from the end; None takes the encoder's output.
    """

    def __init__(self, tokenizer: Any, encoder: Any, from_end: int | None = None) -> None:
        self._tokenizer = tokenizer
        self._encoder = encoder
        self._from_end = from_end
        self.length = int(min(tokenizer.model_max_length, encoder.config.max_position_embeddings))

    def pieces(self, prompt: str) -> int:
        """How many pieces a prompt takes.

        Raises:
            BadInput: ``prompt_too_long``, ``bad_weight``.
        """
        return len(self._cut(prompt))

    def read(self, prompt: str, pieces: int) -> Read:
        """Embeddings of a prompt, filled up to a number of pieces with empty ones.

        A word of weight w stands at empty + w (word - empty), with what the encoder makes of an empty prompt there.
        """
        cut = self._cut(prompt)
        cut += [([], [])] * (pieces - len(cut))
        rows = [self._row(tokens) for tokens, _ in cut]
        hidden, pooled = self._encoded(rows)
        if any(weight != 1.0 for _, weights in cut for weight in weights):
            empty = self._encoded([self._row([])])[0]
            factors = torch.ones(len(rows), self.length, 1)
            for row, (_, weights) in enumerate(cut):
                factors[row, 1 : 1 + len(weights), 0] = torch.tensor(weights)
            factors = factors.to(hidden)
            hidden = torch.where(factors == 1.0, hidden, empty + factors * (hidden - empty))
        return Read(hidden.flatten(0, 1), None if pooled is None else pooled[0])

    def _row(self, tokens: Sequence[int]) -> list[int]:
        row = [self._tokenizer.bos_token_id, *tokens, self._tokenizer.eos_token_id]
        return row + [self._tokenizer.pad_token_id] * (self.length - len(row))

    def _cut(self, prompt: str) -> list[tuple[list[int], list[float]]]:
        """Tokens and their weights, in pieces of the encoder's length without begin and end."""
        tokens: list[int] = []
        weights: list[float] = []
        for piece in weighted(prompt):
            ids = self._tokenizer(piece.text, add_special_tokens=False).input_ids
            tokens += ids
            weights += [piece.weight] * len(ids)
        room = self.length - 2
        if len(tokens) > room * MOST_PIECES:
            raise BadInput(
                f"The prompt is too long for this model: {len(tokens)} tokens, and it reads {room * MOST_PIECES}. "
                "Shorten it.",
                code="prompt_too_long",
            )
        starts = range(0, max(1, len(tokens)), room)
        return [(tokens[at : at + room], weights[at : at + room]) for at in starts]

    def _encoded(self, rows: list[list[int]]) -> tuple[Tensor, Tensor | None]:
        device = next(self._encoder.parameters()).device
        answer = self._encoder(torch.tensor(rows, device=device), output_hidden_states=True)
        hidden = answer.last_hidden_state if self._from_end is None else answer.hidden_states[-self._from_end]
        return hidden, getattr(answer, "text_embeds", None)
