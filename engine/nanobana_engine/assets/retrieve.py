"""From a prompt in any language to what is to be drawn: things with counts and colours, a ground, a light."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from nanobana_engine.assets import vocabulary as words
from nanobana_engine.assets.cutter import Cutter
from nanobana_engine.assets.meaning import Thing, Understood, UnknownPrompt
from nanobana_engine.assets.names import Match, NameFinder
from nanobana_engine.assets.nearest import NearestNames
from nanobana_engine.assets.normalise import normalise
from nanobana_engine.assets.pack import ALIAS, NAMED_KEYWORD, AssetPack
from nanobana_engine.assets.scenery import take_scenery
from nanobana_engine.assets.tokens import Token, segments

MOST_THINGS = 6


class Retriever:
    """Understands prompts with one asset pack; it holds no state that a prompt changes."""

    def __init__(self, pack: AssetPack) -> None:
        self._pack = pack
        self.nearest = NearestNames(pack)
        self._cutter = Cutter(pack)
        self._names = NameFinder(pack, self.nearest)

    def understand(self, prompt: str) -> Understood:
        """What the prompt asks for.

        Raises:
            UnknownPrompt: it asks for something, and none of it is known.
        """
        tokens, scenery = take_scenery(self._cutter.cut(prompt), self._pack)
        ground, light = scenery.ground, scenery.light
        things: list[Thing] = []
        unknown: list[str] = []
        weak: list[Thing] = []
        for segment in segments(tokens):
            found, strong, missed = self._things(segment)
            (things if strong else weak).extend(found)
            if missed and not found:
                unknown.append(missed)
        things = things or weak[:1]
        if unknown and not things and ground is None:
            raise UnknownPrompt(unknown[0], self.nearest.suggestions(unknown[0]))
        if ground is None and light == "night" and not things:
            ground, light = "night", None
        if ground is None and light == "sunset" and not things:
            ground, light = "sunset", None
        return Understood(_capped(things), ground, scenery.ground_colour, light)

    def _things(self, segment: Sequence[Token]) -> tuple[list[Thing], bool, str]:
        """The things one segment names, whether by name (not by mere keyword), and its first unknown word."""
        matches, missed = self._names.find(segment)
        best = max((m.weight for m in matches), default=0)
        if best >= NAMED_KEYWORD:
            names = [m for m in matches if m.weight >= ALIAS]
            chosen = names or [m for m in matches if m.weight >= NAMED_KEYWORD][-1:]
        else:
            chosen = matches[-1:]
        chosen = [m for n, m in enumerate(chosen) if not self._names.describes(segment, m, chosen[n + 1 : n + 2])]
        things = [self._thing(segment, match, chosen[n - 1].end if n else 0) for n, match in enumerate(chosen)]
        return things, best >= NAMED_KEYWORD, missed

    def _thing(self, segment: Sequence[Token], match: Match, since: int) -> Thing:
        count, colour, size = 0, None, None
        for token in segment[since : match.begin]:
            count = words.COUNTS.get(token.text, count)
            colour = words.COLOURS.get(token.text, colour)
            size = words.SIZES.get(token.text, size)
        for token in segment[match.end :]:
            if token.text not in words.COLOURS and token.text not in words.FILLERS:
                break
            colour = colour or words.COLOURS.get(token.text)
        picture = match.pictures[0]
        if colour in self._colours_of(picture):
            colour = None
            others: tuple[int, ...] = ()
        elif colour is not None and (
            coloured := [p for p in match.pictures if colour in self._colours_of(p) and self._same_kind(p, picture)]
        ):
            picture, others, colour = coloured[0], (), None
        else:
            words_used = {t.text for t in segment[match.begin : match.end]}
            plain = segment[match.begin].picture is None and not words_used & words.COLOURS.keys()
            others = self._variations(picture) if plain else ()
        name = self._pack.pictures[picture].name
        return Thing(picture, name, count or (3 if match.plural else 1), colour, size, others)

    def _variations(self, picture: int) -> tuple[int, ...]:
        """Other pictures that mean the same."""
        emoji = self._pack.pictures[picture].emoji
        others = words.VARIATIONS.get(emoji) or words.VARIATIONS.get(emoji.strip("\ufe0f"), "")
        return tuple(self._pack.by_emoji[found] for found in self._cutter.emoji.findall(others))

    def _colours_of(self, picture: int) -> set[str | None]:
        """Colours that the picture's own name says it has."""
        return {words.COLOURS.get(w) for w in normalise(self._pack.pictures[picture].name).split()} - {None}

    def _same_kind(self, picture: int, other: int) -> bool:
        return self._pack.pictures[picture].subgroup == self._pack.pictures[other].subgroup


def _capped(things: Sequence[Thing]) -> tuple[Thing, ...]:
    """At most MOST_THINGS in all, the first first; the same picture twice is one thing."""
    room, kept = MOST_THINGS, []
    seen: set[tuple[int, str | None]] = set()
    for thing in things:
        if room <= 0 or (thing.picture, thing.colour) in seen:
            continue
        seen.add((thing.picture, thing.colour))
        kept.append(replace(thing, count=min(room, thing.count)))
        room -= kept[-1].count
    return tuple(kept)
