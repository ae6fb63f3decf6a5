"""Words of a prompt that are not things: counts, colours, sizes, light and grounds, from `vocabulary.toml`."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from nanobana_engine.assets.normalise import normalise

_FILE = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))


def _words(text: str) -> list[str]:
    return [normalise(word) for word in text.split(",")]


def _table(name: str) -> Mapping[str, str]:
    """{meaning: "word, word two"} → {normalised word: meaning}."""
    return MappingProxyType({word: meaning for meaning, text in _FILE[name].items() for word in _words(text)})


def _list(name: str) -> frozenset[str]:
    return frozenset(_words(_FILE["lists"][name]))


COLOURS = _table("colours")
"""Colour words → those that the model was taught."""
COUNTS = MappingProxyType({word: int(count) for word, count in _table("counts").items()})
SIZES = _table("sizes")
"""→ "small" or "large"."""
LIGHTS = _table("lights")
"""→ "night" or "sunset"."""
GROUNDS = _table("grounds")
"""Words for a ground → the background that the model draws."""
ONLY_AFTER_A_PREPOSITION = _list("only_after_a_preposition")
"""Grounds that are also things: a ground only where the prompt puts something on, in or before them."""
PREPOSITIONS = _list("prepositions")
SEPARATORS = _list("separators")
FILLERS = _list("fillers") - frozenset(SIZES) - frozenset(COUNTS)
NOTHING = _list("nothing")
"""Words of prompts that ask for the surroundings to go on."""
PREFERRED: Mapping[str, str] = MappingProxyType({normalise(w): emoji for w, emoji in _FILE["preferred"].items()})
"""English words that several pictures share, or none is named by → the picture meant most."""
VARIATIONS: Mapping[str, str] = MappingProxyType(dict(_FILE["variations"]))
"""A picture's emoji → the emoji of others that mean the same."""
IRREGULAR: Mapping[str, str] = MappingProxyType({normalise(w): normalise(s) for w, s in _FILE["irregular"].items()})
"""Plurals that no rule makes → their singulars."""
