"""What a prompt can mean to the model: things with counts and colours, a ground, a light; or nothing it knows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


class UnknownPrompt(ValueError):
    """Nothing in the prompt is known; `word` is what was not, `suggestions` the nearest names."""

    def __init__(self, word: str, suggestions: Sequence[str]) -> None:
        super().__init__(word)
        self.word = word
        self.suggestions = tuple(suggestions)

    def __str__(self) -> str:
        *others, last = self.suggestions
        hint = f"{', '.join(others)} or {last}" if others else last
        return f"I do not know “{self.word}”. Did you mean {hint}?"


@dataclass(frozen=True, slots=True)
class Thing:
    """One kind of thing that the prompt asks for."""

    picture: int
    name: str
    """English name of the picture."""
    count: int
    colour: str | None
    size: str | None
    alternatives: tuple[int, ...]
    """Other pictures that the same word means as well, for variations."""


@dataclass(frozen=True, slots=True)
class Understood:
    """What a prompt asks for; without things and ground, the surroundings go on."""

    things: tuple[Thing, ...]
    ground: str | None
    """A background that the model draws, by its name there."""
    ground_colour: str | None
    light: str | None
    """"night", "sunset" or None."""

    @property
    def nothing(self) -> bool:
        return not self.things and self.ground is None
