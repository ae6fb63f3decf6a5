"""The attribute words that condition the network: colours, light, count, size, ground."""

from __future__ import annotations

from typing import Final

COLOURS: Final = {
    "red": (0.86, 0.14, 0.16), "orange": (0.96, 0.52, 0.10), "yellow": (0.98, 0.83, 0.16),
    "green": (0.20, 0.66, 0.26), "blue": (0.16, 0.42, 0.90), "purple": (0.54, 0.24, 0.78),
    "pink": (0.97, 0.50, 0.70), "brown": (0.48, 0.29, 0.16), "black": (0.13, 0.13, 0.15),
    "white": (0.97, 0.97, 0.97), "grey": (0.55, 0.56, 0.58), "gold": (0.90, 0.70, 0.22),
    "turquoise": (0.15, 0.75, 0.74),
}  # fmt: skip
"""The middle tone that each colour word stands for, RGB in [0, 1]."""

LIGHTS: Final = ("day", "sunset", "night")
SUBJECTS: Final = ("nothing", "object", "objects", "backdrop")
SPECIAL: Final = ("<pad>", "<start>", "<end>", "<unknown>")
LENGTH: Final = 12
"""Tokens a prompt is cut or padded to."""


def vocabulary(backgrounds: tuple[str, ...]) -> dict[str, int]:
    """Token numbers: special tokens, subjects, colours, lights, "on", then the names of the backgrounds."""
    words = (*SPECIAL, *SUBJECTS, *COLOURS, *LIGHTS, "on", "photo", "text", "small", "large", *backgrounds)
    return {word: i for i, word in enumerate(dict.fromkeys(words))}
