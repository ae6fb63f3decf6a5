"""Cuts a prompt into tokens: words of any script, and emoji as the pictures they are."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property

from nanobana_engine.assets.normalise import normalise
from nanobana_engine.assets.pack import AssetPack
from nanobana_engine.assets.tokens import Token, is_spaceless, is_vocabulary


class Cutter:
    """Cuts prompts by what a pack knows; it holds no state that a prompt changes."""

    def __init__(self, pack: AssetPack) -> None:
        self._pack = pack

    @cached_property
    def emoji(self) -> re.Pattern[str]:
        """Any emoji of the pack, the longest that fits."""
        keys = sorted(self._pack.by_emoji, key=lambda e: (-len(e), e))
        return re.compile("|".join(map(re.escape, keys)))

    def cut(self, prompt: str) -> list[Token]:
        """The prompt's pieces in their order."""
        prompt = re.sub(r"\b[ldLD]['’](?=\w)", "", unicodedata.normalize("NFC", prompt))
        tokens: list[Token] = []
        place = 0
        for match in self.emoji.finditer(prompt):
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
