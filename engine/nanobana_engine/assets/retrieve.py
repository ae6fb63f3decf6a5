"""From a prompt in any language to what is to be drawn: things with counts and colours, a ground, a light."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from nanobana_engine.assets import vocabulary as words
from nanobana_engine.assets.nearest import NearestNames
from nanobana_engine.assets.normalise import normalise
from nanobana_engine.assets.pack import (
    ALIAS,
    ENGLISH_NAMED_KEYWORD,
    NAME_ABROAD,
    NAMED_KEYWORD,
    SHORT_NAME,
    AssetPack,
    Posting,
)
from nanobana_engine.assets.tokens import (
    LONGEST_PHRASE,
    Token,
    forms,
    is_spaceless,
    is_vocabulary,
    longest,
    phrase_of,
    segments,
    stands_alone,
)

MOST_THINGS = 6


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


@dataclass(frozen=True, slots=True)
class _Match:
    begin: int
    end: int
    weight: int
    pictures: tuple[int, ...]
    plural: bool


class Retriever:
    """Understands prompts with one asset pack; it holds no state that a prompt changes."""

    def __init__(self, pack: AssetPack) -> None:
        self._pack = pack
        self.nearest = NearestNames(pack)

    @cached_property
    def _emoji(self) -> re.Pattern[str]:
        keys = sorted(self._pack.by_emoji, key=lambda e: (-len(e), e))
        return re.compile("|".join(map(re.escape, keys)))

    def understand(self, prompt: str) -> Understood:
        """What the prompt asks for.

        Raises:
            UnknownPrompt: it asks for something, and none of it is known.
        """
        tokens = self._tokens(prompt)
        tokens, light, ground, ground_colour = self._scenery(tokens)
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
        return Understood(_capped(things), ground, ground_colour, light)

    def _tokens(self, prompt: str) -> list[Token]:
        prompt = re.sub(r"\b[ldLD]['’](?=\w)", "", unicodedata.normalize("NFC", prompt))
        tokens: list[Token] = []
        place = 0
        for match in self._emoji.finditer(prompt):
            tokens += self._words(prompt[place : match.start()])
            tokens.append(Token(match.group(), self._pack.by_emoji[match.group()]))
            place = match.end()
        return tokens + self._words(prompt[place:])

    def _words(self, text: str) -> list[Token]:
        tokens: list[Token] = []
        for clause in re.split(r"[,;.、,。/&+]", text):
            for word in normalise(clause).split():
                tokens += [Token(piece) for piece in (self._pieces(word) if is_spaceless(word) else [word])]
            if tokens:
                tokens[-1] = replace(tokens[-1], ends_segment=True)
        if tokens and not re.search(r"[,;.、,。/&+]\s*$", text):
            tokens[-1] = replace(tokens[-1], ends_segment=False)
        return tokens

    def _pieces(self, word: str) -> Iterator[str]:
        """Greedy longest matches in a word of a script without spaces; what is unknown comes as one piece."""
        lost = ""
        while word:
            for size in range(min(len(word), 10), 0, -1):
                piece = word[:size]
                if is_vocabulary(piece) or (self._pack.lookup(piece) and (size > 1 or len(word) == 1 or not lost)):
                    if lost:
                        yield lost
                    lost = ""
                    yield piece
                    word = word[size:]
                    break
            else:
                lost, word = lost + word[0], word[1:]
        if lost:
            yield lost

    def _scenery(self, tokens: list[Token]) -> tuple[list[Token], str | None, str | None, str | None]:
        """Takes light and ground out of the tokens: (what is left, light, ground, the ground's colour)."""
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
            if taken and self._names_a_thing(tokens, i, size):
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
        return kept, light, ground, colour

    def _names_a_thing(self, tokens: list[Token], i: int, size: int) -> bool:
        """Whether the ground's word only describes what follows: "sea turtle", "beach ball", "stone castle"."""
        after = i + size
        if after < len(tokens) and not tokens[after - 1].ends_segment and tokens[after].text.isascii():
            found = self._pack.lookup(tokens[after].text)
            if found and found[0].weight >= ALIAS and not is_vocabulary(tokens[after].text):
                return longest(tokens, after, words.GROUNDS) == 0
        for end in range(min(len(tokens), i + LONGEST_PHRASE), i + size, -1):
            found = self._pack.lookup(phrase_of(tokens, i, end))
            if found and found[0].weight >= ALIAS:
                return True
        return False

    def _things(self, segment: Sequence[Token]) -> tuple[list[Thing], bool, str]:
        """The things one segment names, whether by name (not by mere keyword), and its first unknown word."""
        matches, missed = self._matches(segment)
        best = max((m.weight for m in matches), default=0)
        if best >= NAMED_KEYWORD:
            names = [m for m in matches if m.weight >= ALIAS]
            chosen = names or [m for m in matches if m.weight >= NAMED_KEYWORD][-1:]
        else:
            chosen = matches[-1:]
        chosen = [m for n, m in enumerate(chosen) if not self._describes(segment, m, chosen[n + 1 : n + 2])]
        things = [self._thing(segment, match, chosen[n - 1].end if n else 0) for n, match in enumerate(chosen)]
        return things, best >= NAMED_KEYWORD, missed

    def _describes(self, segment: Sequence[Token], match: _Match, after: Sequence[_Match]) -> bool:
        """Whether a name only describes the one right after it: "chocolate cake", "beach ball"."""
        if not after or after[0].begin != match.end or segment[match.begin].picture is not None:
            return False
        edible = [self._pack.pictures[m.pictures[0]].group == "food-drink" for m in (match, after[0])]
        return all(edible) or phrase_of(segment, match.begin, match.end) in words.GROUNDS

    def _matches(self, segment: Sequence[Token]) -> tuple[list[_Match], str]:
        matches: list[_Match] = []
        missed = ""
        i = 0
        while i < len(segment):
            token = segment[i]
            if token.picture is not None:
                matches.append(_Match(i, i + 1, 255, (token.picture,), False))
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

    def _longest_name(self, segment: Sequence[Token], i: int) -> _Match | None:
        for end in range(min(len(segment), i + LONGEST_PHRASE), i, -1):
            phrase = phrase_of(segment, i, end)
            if end - i == 1 and is_vocabulary(phrase) and not stands_alone(segment, i):
                continue
            for form, plural in forms(phrase):
                if form in words.PREFERRED:
                    preferred = self._pack.by_emoji[words.PREFERRED[form]]
                    others = tuple(p for p in self._rank(form) if p != preferred)
                    return _Match(i, end, 255, (preferred, *others), plural)
            for form, plural in forms(phrase):
                found = self._pack.lookup(form)
                if found and (end - i == 1 or found[0].weight >= NAMED_KEYWORD):
                    return _Match(i, end, found[0].weight, self._rank(form), plural)
        if not is_vocabulary(segment[i].text) and sum(not is_vocabulary(t.text) for t in segment) == 1:
            corrected = self.nearest.correction(segment[i].text)
            if corrected is not None:
                return _Match(i, i + 1, self._pack.lookup(corrected)[0].weight, self._rank(corrected), False)
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

    def _variations(self, picture: int) -> tuple[int, ...]:
        """Other pictures that mean the same."""
        emoji = self._pack.pictures[picture].emoji
        others = words.VARIATIONS.get(emoji) or words.VARIATIONS.get(emoji.strip("\ufe0f"), "")
        return tuple(self._pack.by_emoji[found] for found in self._emoji.findall(others))

    def _subgroup(self, posting: Posting) -> str:
        return self._pack.pictures[posting.picture].subgroup

    def _thing(self, segment: Sequence[Token], match: _Match, since: int) -> Thing:
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
