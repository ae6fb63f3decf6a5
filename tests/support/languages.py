"""A translator whose answers are known beforehand."""

from __future__ import annotations

from nanobana_engine.language import TranslationFailed


class Shouting:
    """Translates German to English by upper case; what is broken in German breaks it."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def reads(self, language: str, target: str) -> bool:
        return (language, target) == ("de", "en")

    def translate(self, text: str, language: str, target: str) -> str:
        del target
        self.calls.append(text)
        if "kaputt" in text:
            raise TranslationFailed(language, "it broke")
        return text.upper()
