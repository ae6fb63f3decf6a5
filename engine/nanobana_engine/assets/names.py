"""Finds the names in a piece of a prompt: longest first, then singulars, keywords, and one misspelt letter."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from nanobana_engine.assets import vocabulary as words
from nanobana_engine.assets.nearest import NearestNames
from nanobana_engine.assets.pack import (
    ENGLISH_NAMED_KEYWORD,
    NAME_ABROAD,
    NAMED_KEYWORD,
    SHORT_NAME,
    AssetPack,
    Posting,
)
from nanobana_engine.assets.tokens import LONGEST_PHRASE, Token, forms, is_vocabulary, phrase_of, stands_alone


@dataclass(frozen=True, slots=True)
class Match:
    """Tokens from `begin` to before `end` name one of `pictures`, the likeliest first."""

    begin: int
    end: int
    weight: int
    pictures: tuple[int, ...]
    plural: bool


class NameFinder:
    """Looks names up in a pack."""

    def __init__(self, pack: AssetPack, nearest: NearestNames) -> None:
        self._pack, self._nearest = pack, nearest

    def find(self, segment: Sequence[Token]) -> tuple[list[Match], str]:
        """All names in a segment, in their order, and its first unknown word."""
        matches: list[Match] = []
        missed = ""
        i = 0
        while i < len(segment):
            token = segment[i]
            if token.picture is not None:
                matches.append(Match(i, i + 1, 255, (token.picture,), False))
                i += 1
                continue
            match = self._longest_name(segment, i)
            if match is not None:
                matches.append(match)
                i = match.end
                continue
            if not is_vocabulary(token.text) and not missed and not token.text.isdigit():
                missed = token.text
            i += 1
        return matches, missed

    def describes(self, segment: Sequence[Token], match: Match, after: Sequence[Match]) -> bool:
        """Whether a name only describes the one right after it: "chocolate cake", "beach ball"."""
        if not after or after[0].begin != match.end or segment[match.begin].picture is not None:
            return False
        edible = [self._pack.pictures[m.pictures[0]].group == "food-drink" for m in (match, after[0])]
        return all(edible) or phrase_of(segment, match.begin, match.end) in words.GROUNDS

    def _longest_name(self, segment: Sequence[Token], i: int) -> Match | None:
        for end in range(min(len(segment), i + LONGEST_PHRASE), i, -1):
            phrase = phrase_of(segment, i, end)
            if end - i == 1 and is_vocabulary(phrase) and not stands_alone(segment, i):
                continue
            for form, plural in forms(phrase):
                if form in words.PREFERRED:
                    preferred = self._pack.by_emoji[words.PREFERRED[form]]
                    others = tuple(p for p in self._rank(form) if p != preferred)
                    return Match(i, end, 255, (preferred, *others), plural)
            for form, plural in forms(phrase):
                found = self._pack.lookup(form)
                if found and (end - i == 1 or found[0].weight >= NAMED_KEYWORD):
                    return Match(i, end, found[0].weight, self._rank(form), plural)
        if not is_vocabulary(segment[i].text) and sum(not is_vocabulary(t.text) for t in segment) == 1:
            corrected = self._nearest.correction(segment[i].text)
            if corrected is not None:
                return Match(i, i + 1, self._pack.lookup(corrected)[0].weight, self._rank(corrected), False)
        return None

    def _rank(self, term: str) -> tuple[int, ...]:
        """The pictures a term means best, first the likeliest: by weight, then with the subgroup most of them share."""
        found = [p for p in self._pack.lookup(term) if p.weight >= 100]
        if term.isascii() and found and found[0].weight == NAME_ABROAD:
            found = [p for p in found if p.weight in (SHORT_NAME, ENGLISH_NAMED_KEYWORD)] or found
        best = [p for p in found if p.weight == found[0].weight] if found else []
        shared = Counter(self._subgroup(p) for p in best)
        ranked = sorted(found, key=lambda p: (-p.weight, -shared[self._subgroup(p)], p.picture))
        return tuple(p.picture for p in ranked[:6]) or tuple(p.picture for p in self._pack.lookup(term)[:1])

    def _subgroup(self, posting: Posting) -> str:
        return self._pack.pictures[posting.picture].subgroup
