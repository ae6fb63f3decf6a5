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
    """Reads edits for the models that they run on. Safe to call from several threads if the translator is.

    Args:
        translator: None: there is none on this machine.
    """

    def __init__(self, translator: Translator | None = None) -> None:
        self._translator = translator
        self._translated = lru_cache(maxsize=REMEMBERED)(self._translate)

    def may_take_long(self, preset: Preset) -> bool:
        """Whether `read` may run a network."""
        return self._translator is not None and not _reads_all(preset)

    def read(self, edit: EditParams, preset: Preset) -> Reading:
        """The edit with prompt and negative prompt in a language of the model's.

        Without a translator the words go to the model as they are, with a notice: models often know a little of a
        language that they were not trained for, and a guess at the language must not stop anybody's work.

        Raises:
            TranslationFailed: there is a translator and it failed; what was asked for would be something else.
        """
        if edit.mode == "erase" or _reads_all(preset):
            return Reading(edit)
        prompt, notice = self._told(edit.prompt, preset)
        negative, also = self._told(edit.negative, preset) if "negative" in preset.takes else (edit.negative, "")
        told = msgspec.structs.replace(edit, prompt=prompt, negative=negative)
        return Reading(told, understood=prompt if prompt != edit.prompt else "", notice=notice or also)

    def _told(self, text: str, preset: Preset) -> tuple[str, str]:
        """The words for the model, and a notice where they may be none of its language."""
        language, target = detect(text), _target(preset)
        if language is None or language in preset.languages:
            return text, ""
        if self._translator is None or not self._translator.reads(language, target):
            return text, self._sorry(language, preset)
        return self._translated(text, language, target, "weights" in preset.takes), ""

    def _translate(self, text: str, language: str, target: str, has_weights: bool) -> str:
        """Piece by piece where words have weights, which are kept."""
        assert self._translator is not None
        pieces = weighted(text) if has_weights else [Weighted(plain(text))]
        told = []
        for piece in pieces:
            if words := piece.text.strip():
                said = self._translator.translate(words, language, target)
                told.append(said if piece.weight == 1.0 else f"({said}:{piece.weight:g})")
        return " ".join(told)

    def _sorry(self, language: str, preset: Preset) -> str:
        lacks = "no translator is installed" if self._translator is None else "no installed translator reads it"
        return f"This looks {NAMES[language]}, which {preset.name} may not understand: {lacks}."


def _reads_all(preset: Preset) -> bool:
    return ANY in preset.languages or not preset.translates


def _target(preset: Preset) -> str:
    """The language that is translated into."""
    known = preset.languages
    return "en" if "en" in known else next((each for each in known if each != ANY), "en")
