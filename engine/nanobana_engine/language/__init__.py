"""Prompts in any language: which one it is, and how a model that does not know it is told all the same. No torch."""

from nanobana_engine.language.detect import NAMES, detect
from nanobana_engine.language.interpret import Interpreter, Reading, TranslationFailed, Translator

__all__ = ["NAMES", "Interpreter", "Reading", "TranslationFailed", "Translator", "detect"]
