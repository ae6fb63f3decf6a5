"""The pieces of a prompt: words and emoji, what parts them, and their singulars."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from nanobana_engine.assets import vocabulary as words

LONGEST_PHRASE = 5
"""Words of a name that is looked up as one."""


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of the prompt: a word or, in scripts without spaces, what the vocabulary knows; or an emoji's picture."""

    text: str
    picture: int | None = None
    ends_segment: bool = False


def phrase_of(tokens: Sequence[Token], begin: int, end: int) -> str:
    return " ".join(t.text for t in tokens[begin:end])


def longest(tokens: Sequence[Token], i: int, table: object) -> int:
    """How many tokens from i on form the longest entry of a table; 0 if none do."""
    for end in range(min(len(tokens), i + LONGEST_PHRASE), i, -1):
        if phrase_of(tokens, i, end) in table:  # type: ignore[operator]
            return end - i
    return 0


def is_vocabulary(word: str) -> bool:
    tables = (
        words.COLOURS,
        words.COUNTS,
        words.SIZES,
        words.LIGHTS,
        words.FILLERS,
        words.PREPOSITIONS,
        words.SEPARATORS,
    )
    return any(word in table for table in tables) or word in words.NOTHING


def stands_alone(segment: Sequence[Token], i: int) -> bool:
    """Whether a colour or the like is the last word that could be a thing ("an orange", not "an orange cat")."""
    if segment[i].text not in words.COLOURS or segment[i].text not in words.PREFERRED:
        return False
    return all(is_vocabulary(t.text) and t.text not in words.COLOURS for t in segment[i + 1 :])


def segments(tokens: Sequence[Token]) -> Iterator[list[Token]]:
    """Parts of the prompt that name one thing each: between "and", "with", commas and prepositions."""
    segment: list[Token] = []
    for token in tokens:
        if token.picture is None and (token.text in words.SEPARATORS or token.text in words.PREPOSITIONS):
            if segment:
                yield segment
            segment = []
            continue
        segment.append(token)
        if token.ends_segment:
            yield segment
            segment = []
    if segment:
        yield segment


def forms(phrase: str) -> Iterator[tuple[str, bool]]:
    """A phrase and its likely singulars, each with whether it was a plural."""
    yield phrase, False
    *head, last = phrase.split(" ")
    singulars = [words.IRREGULAR[last]] if last in words.IRREGULAR else []
    if last.isascii() and len(last) > 3:
        if last.endswith("ies"):
            singulars.append(last[:-3] + "y")
        if last.endswith(("ses", "xes", "ches", "shes", "oes", "nes", "res")):
            singulars.append(last[:-2])
        if last.endswith("s") and not last.endswith("ss"):
            singulars.append(last[:-1])
        if last.endswith(("en", "er")):
            singulars += [last[:-2], last[:-1]]
        if last.endswith("e"):
            singulars.append(last[:-1])
    if last.startswith("ال") and len(last) > 4:
        singulars.append(last[2:])
    for singular in singulars:
        yield " ".join([*head, singular]), not last.startswith("ال")


def is_spaceless(word: str) -> bool:
    """Whether a word's script is written without spaces between words."""
    return any("\u2e80" <= c <= "\u9fff" or "\u0e00" <= c <= "\u0eff" or "\u1000" <= c <= "\u109f" or
               "\u1780" <= c <= "\u17ff" or c >= "\U00020000" for c in word)  # fmt: skip
