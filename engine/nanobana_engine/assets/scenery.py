"""Takes out of a prompt where its things are: the ground ("on a beach") and the light ("at night")."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nanobana_engine.assets import vocabulary as words
from nanobana_engine.assets.pack import ALIAS, AssetPack
from nanobana_engine.assets.tokens import LONGEST_PHRASE, Token, is_vocabulary, longest, phrase_of


@dataclass(frozen=True, slots=True)
class Scenery:
    """Where a prompt puts its things."""

    ground: str | None
    ground_colour: str | None
    light: str | None


def take_scenery(tokens: Sequence[Token], pack: AssetPack) -> tuple[list[Token], Scenery]:
    """Takes light and ground out of the tokens: what is left, and they."""
    light: str | None = None
    ground: str | None = None
    colour: str | None = None
    kept: list[Token] = []
    i = 0
    after_preposition = False
    while i < len(tokens):
        size = longest(tokens, i, words.GROUNDS)
        phrase = phrase_of(tokens, i, i + size)
        light_size = longest(tokens, i, words.LIGHTS)
        taken = size > 0 and (after_preposition or phrase not in words.ONLY_AFTER_A_PREPOSITION)
        if taken and _names_a_thing(tokens, i, size, pack):
            taken = False
        if light_size and light_size >= size:
            light = words.LIGHTS[phrase_of(tokens, i, i + light_size)]
            i += light_size
        elif taken and (ground is None or ground in ("plain", "studio")):
            ground = words.GROUNDS[phrase]
            while kept and kept[-1].text in words.COLOURS:
                colour = words.COLOURS[kept.pop().text]
            i += size
        elif taken:
            i += size
        else:
            after_preposition = tokens[i].text in words.PREPOSITIONS or (
                after_preposition and (tokens[i].text in words.FILLERS or is_vocabulary(tokens[i].text))
            )
            kept.append(tokens[i])
            i += 1
            continue
        after_preposition = False
    return kept, Scenery(ground, colour, light)


def _names_a_thing(tokens: Sequence[Token], i: int, size: int, pack: AssetPack) -> bool:
    """Whether the ground's word only describes what follows: "sea turtle", "beach ball", "stone castle"."""
    after = i + size
    if after < len(tokens) and not tokens[after - 1].ends_segment and tokens[after].text.isascii():
        found = pack.lookup(tokens[after].text)
        if found and found[0].weight >= ALIAS and not is_vocabulary(tokens[after].text):
            return longest(tokens, after, words.GROUNDS) == 0
    for end in range(min(len(tokens), i + LONGEST_PHRASE), i + size, -1):
        found = pack.lookup(phrase_of(tokens, i, end))
        if found and found[0].weight >= ALIAS:
            return True
    return False
