"""What a model is told of a prompt that people wrote in their own language."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import msgspec

from nanobana.protocol.errors import NanobanaError
from nanobana.protocol.parameters import EditParams
from nanobana_engine.language.detect import NAMES, detect
from nanobana_engine.models.preset import Preset
from nanobana_engine.models.words import Weighted, plain, weighted

ANY = "*"
"""Among a preset's languages: it understands whatever people write."""
REMEMBERED = 256
"""Translations; a live edit asks for the same words at every stroke."""


class TranslationFailed(NanobanaError):
    """A prompt could not be translated; the sentence says what to do instead."""

    code = "translation_failed"

    def __init__(self, language: str, why: str) -> None:
        super().__init__(
            f"This prompt could not be translated from {NAMES[language]} ({why}). Nothing was changed. Write it in "
            "the model's language, or try again."
        )


class Translator(Protocol):
    """What an installed translator must be able to do; called from any thread, one call at a time."""

    def reads(self, language: str, target: str) -> bool:
        """Whether it translates from one language to the other, ISO 639-1 codes."""
        ...

    def translate(self, text: str, language: str, target: str) -> str:
        """The text in the target language; never empty.

        Raises:
            TranslationFailed: it is too long, or the model failed.
        """
        ...


@dataclass(frozen=True, slots=True)
class Reading:
    """An edit as the model gets it."""

    edit: EditParams
    understood: str = ""
    """The translated prompt; empty where it went straight through."""
    notice: str = ""
    """A sentence for people, where the model was given words that it may not know."""


class Interpreter:
    """Reads edits for one model. Safe to call from several threads if the translator is.

    Args:
        translator: None: there is none on this machine.
    """

    def __init__(self, preset: Preset, translator: Translator | None = None) -> None:
        self._preset = preset
        self._translator = translator
        known = preset.languages
        self._reads_all = ANY in known or not preset.translates
        self.may_take_long = translator is not None and not self._reads_all
        """Whether `read` may run a network."""
        self._target = "en" if "en" in known else next((each for each in known if each != ANY), "en")
        self._translated = lru_cache(maxsize=REMEMBERED)(self._translate)

    def read(self, edit: EditParams) -> Reading:
        """The edit with prompt and negative prompt in a language of the model's.

        Without a translator the words go to the model as they are, with a notice: models often know a little of a
        language that they were not trained for, and a guess at the language must not stop anybody's work.

        Raises:
            TranslationFailed: there is a translator and it failed; what was asked for would be something else.
        """
        if edit.mode == "erase" or self._reads_all:
            return Reading(edit)
        prompt, notice = self._told(edit.prompt)
        negative, also = self._told(edit.negative) if "negative" in self._preset.takes else (edit.negative, "")
        told = msgspec.structs.replace(edit, prompt=prompt, negative=negative)
        return Reading(told, understood=prompt if prompt != edit.prompt else "", notice=notice or also)

    def _told(self, text: str) -> tuple[str, str]:
        """The words for the model, and a notice where they may be none of its language."""
        language = detect(text)
        if language is None or language in self._preset.languages:
            return text, ""
        if self._translator is None or not self._translator.reads(language, self._target):
            return text, self._sorry(language)
        return self._translated(text, language), ""

    def _translate(self, text: str, language: str) -> str:
        """Piece by piece where words have weights, which are kept."""
        assert self._translator is not None
        pieces = weighted(text) if "weights" in self._preset.takes else [Weighted(plain(text))]
        told = []
        for piece in pieces:
            if words := piece.text.strip():
                said = self._translator.translate(words, language, self._target)
                told.append(said if piece.weight == 1.0 else f"({said}:{piece.weight:g})")
        return " ".join(told)

    def _sorry(self, language: str) -> str:
        lacks = "no translator is installed" if self._translator is None else "no installed translator reads it"
        return f"This looks {NAMES[language]}, which {self._preset.name} may not understand: {lacks}."
