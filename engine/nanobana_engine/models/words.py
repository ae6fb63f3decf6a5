"""Words that weigh more or less: ``(golden:1.3) dog``, as people write them for Stable Diffusion. Pure text.

Understood are ``(words:1.3)`` and ``(words)1.3`` (times 1.3), ``(words)`` (times 1.1), ``[words]`` (divided by 1.1),
and a ``+`` or ``-`` for each step of 1.1 or 0.9 after a word or a bracket, ``dog++``. Brackets nest, their weights
multiply; ``\\(`` is a bracket of the text itself, and one without its partner is text too.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass

from nanobana.protocol.errors import BadInput

MORE = 1.1
LESS = 0.9
LIGHTEST, HEAVIEST = 0.0, 3.0
DEEPEST = 40
"""Brackets within brackets; deeper ones are text."""
_NUMBER = r"\d+(?:\.\d+)?|\.\d+"
_SUFFIX = re.compile(rf"({_NUMBER})(?![\w.])|(\++|-+)(?!\w)")
_COLON = re.compile(rf":\s*({_NUMBER})\s*$")
_STEPS = re.compile(r"(?<=\w)(\+{1,8}|-{2,8})(?=[\s,.;:!?)\]]|$)")
"""A single hyphen after a word is a hyphen."""
_PARTNER = {"(": ")", "[": "]"}
_ESCAPED = re.compile(r"\\([()\[\]\\])")


@dataclass(frozen=True, slots=True)
class Weighted:
    """A piece of a prompt. 1.0 is the ordinary weight."""

    text: str
    weight: float = 1.0


def weighted(prompt: str) -> list[Weighted]:
    """The pieces of a prompt in order; their texts together are the prompt without its weights.

    Raises:
        BadInput: ``bad_weight``: a weight outside 0 to 3.
    """
    joined: list[Weighted] = []
    for piece in _pieces(prompt, 1.0):
        if joined and math.isclose(joined[-1].weight, piece.weight):
            joined[-1] = Weighted(joined[-1].text + piece.text, piece.weight)
        else:
            joined.append(piece)
    for piece in joined:
        if not LIGHTEST <= piece.weight <= HEAVIEST:
            raise BadInput(
                f"A word's weight can be from {LIGHTEST:g} to {HEAVIEST:g}, and “{piece.text.strip()[:40]}” has "
                f"{piece.weight:.3g}.",
                code="bad_weight",
            )
    return joined or [Weighted("")]


def plain(prompt: str) -> str:
    """The prompt without its numbers and steps, for a model that knows no weights; brackets without any stay.

    Whatever is wrong with a weight does not matter here.
    """
    return "".join(_plain(prompt, 0))


def _pieces(text: str, weight: float, depth: int = 0) -> list[Weighted]:
    found: list[Weighted] = []
    for before, mark, inner, own in _cut(text, depth):
        found += _stepped(before, weight)
        if mark:
            found += _pieces(inner, weight * (_default(mark) if own is None else own), depth + 1)
    return found


def _plain(text: str, depth: int) -> list[str]:
    found: list[str] = []
    for before, mark, inner, own in _cut(text, depth):
        found.append(_without_steps(before))
        if mark:
            inside = "".join(_plain(inner, depth + 1))
            found.append(inside if own is not None else f"{mark}{inside}{_PARTNER[mark]}")
    return found


def _cut(text: str, depth: int) -> Iterator[tuple[str, str, str, float | None]]:
    """At every bracket that has a partner: the text before it, its mark, what is inside and the weight that it names.

    The last one is the rest of the text, with no mark; below DEEPEST that is all.
    """
    start = at = 0
    while at < len(text):
        if text[at] == "\\":
            at += 2
            continue
        end = _end(text, at) if depth < DEEPEST and text[at] in _PARTNER else None
        if end is None:
            at += 1
            continue
        inner, own, after = _bracket(text, at, end)
        yield text[start:at], text[at], inner, own
        start = at = after
    yield text[start:], "", "", None


def _bracket(text: str, at: int, end: int) -> tuple[str, float | None, int]:
    """What stands inside the bracket from `at` to `end`, the weight that it names, and where the text goes on."""
    inner, after = text[at + 1 : end], end + 1
    if text[at] == "(":
        named = _COLON.search(inner)
        if named:
            return inner[: named.start()], float(named[1]), after
        suffix = _SUFFIX.match(text, after)
        if suffix:
            return inner, float(suffix[1]) if suffix[1] else _power(suffix[2]), suffix.end()
    return inner, None, after


def _end(text: str, at: int) -> int | None:
    """The place of a bracket's partner; None if it has none."""
    open_brackets: list[str] = []
    while at < len(text):
        mark = text[at]
        if mark == "\\":
            at += 1
        elif mark in _PARTNER:
            open_brackets.append(_PARTNER[mark])
        elif mark in ")]":
            if not open_brackets or mark != open_brackets.pop():
                return None
            if not open_brackets:
                return at
        at += 1
    return None


def _stepped(text: str, weight: float) -> list[Weighted]:
    """Text without brackets, cut where a word has steps."""
    found: list[Weighted] = []
    start = 0
    for steps in _STEPS.finditer(text):
        word = re.search(r"[^\s,;]+$", text[start : steps.start()])
        assert word is not None
        found.append(Weighted(text[start : start + word.start()], weight))
        found.append(Weighted(word[0], weight * _power(steps[1])))
        start = steps.end()
    found.append(Weighted(text[start:], weight))
    return [Weighted(_ESCAPED.sub(r"\1", piece.text), piece.weight) for piece in found if piece.text]


def _without_steps(text: str) -> str:
    return _ESCAPED.sub(r"\1", _STEPS.sub("", text))


def _power(steps: str) -> float:
    return float((MORE if steps[0] == "+" else LESS) ** len(steps))


def _default(bracket: str) -> float:
    return MORE if bracket == "(" else 1.0 / MORE
