"""Translators on this machine: transformers' sequence models from local folders, loaded when they are first needed."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError

from nanobana.protocol.errors import BadInput
from nanobana_engine.language import NAMES, TranslationFailed

KINDS = ("marian", "m2m_100", "t5")
"""Model types that are known here: OPUS-MT, M2M-100, and MADLAD-400."""
LONGEST = 480
"""Tokens of a text at the most; Marian's positions end at 512."""
BEAMS = 4
THREE_LETTERS: Mapping[str, str] = {
    "ara": "ar", "ces": "cs", "dan": "da", "deu": "de", "ell": "el", "eng": "en", "fas": "fa", "fin": "fi",
    "fra": "fr", "heb": "he", "hin": "hi", "hun": "hu", "ind": "id", "ita": "it", "jpn": "ja", "kor": "ko",
    "nld": "nl", "nob": "no", "nor": "no", "pol": "pl", "por": "pt", "ron": "ro", "rus": "ru", "spa": "es",
    "swe": "sv", "tha": "th", "tur": "tr", "ukr": "uk", "vie": "vi", "zho": "zh",
}  # fmt: skip
GROUPS: Mapping[str, frozenset[str]] = {
    "mul": frozenset(NAMES), "roa": frozenset({"es", "fr", "it", "pt", "ro"}),
    "romance": frozenset({"es", "fr", "it", "pt", "ro"}), "gem": frozenset({"da", "de", "nl", "no", "sv"}),
    "sla": frozenset({"cs", "pl", "ru", "uk"}), "zle": frozenset({"ru", "uk"}),
}  # fmt: skip
"""Groups that OPUS-MT models read; `mul` reads what there is."""


class SequenceTranslator:
    """One folder with a model; see `Translator`. The tokenizer is read at once, the weights at the first text.

    Raises:
        BadInput: ``bad_translator``, with the folder and what is wrong with it.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._model: Any = None
        config = _config(folder)
        self._kind = str(config.get("model_type"))
        if self._kind not in KINDS:
            raise _bad(folder, f"its model type is {self._kind}; known are {', '.join(KINDS)}")
        if not [*folder.glob("*.safetensors"), *folder.glob("*.bin")]:
            raise _bad(folder, "it has no weights")
        from transformers import AutoTokenizer

        try:
            self._tokenizer: Any = AutoTokenizer.from_pretrained(str(folder), local_files_only=True)
        except (OSError, ValueError, ImportError, KeyError, TypeError) as error:
            raise _bad(folder, f"its tokenizer cannot be read ({error})") from error
        if self._kind == "m2m_100" and not hasattr(self._tokenizer, "get_lang_id"):
            raise _bad(folder, "it is no M2M-100 (NLLB, whose weights are for non-commercial use only, is not run)")
        if self._kind == "t5" and "<2en>" not in self._tokenizer.get_vocab():
            raise _bad(folder, "this T5 is no translator into many languages (MADLAD-400 is)")

    def reads(self, language: str, target: str) -> bool:
        if self._kind == "marian":
            given = (getattr(self._tokenizer, "source_lang", None), getattr(self._tokenizer, "target_lang", None))
            source, into = (str(each or "").lower() for each in given)
            return language in GROUPS.get(source, {_short(source)}) and _short(into) == target
        if self._kind == "m2m_100":
            return {language, target} <= set(self._tokenizer.lang_code_to_id)
        return f"<2{target}>" in self._tokenizer.get_vocab()

    def translate(self, text: str, language: str, target: str) -> str:
        with self._lock:
            try:
                return self._said(text, language, target)
            except (RuntimeError, ValueError, IndexError, OSError, SafetensorError) as error:
                raise TranslationFailed(language, "the translator failed") from error

    @torch.inference_mode()
    def _said(self, text: str, language: str, target: str) -> str:
        tokenizer, model = self._tokenizer, self._loaded()
        more: dict[str, Any] = {}
        if self._kind == "m2m_100":
            tokenizer.src_lang = language
            more["forced_bos_token_id"] = tokenizer.get_lang_id(target)
        given = tokenizer(f"<2{target}> {text}" if self._kind == "t5" else text, return_tensors="pt")
        count = int(given["input_ids"].shape[1])
        if count > LONGEST:
            raise TranslationFailed(language, "it is too long")
        said = model.generate(
            input_ids=given["input_ids"], attention_mask=given["attention_mask"], num_beams=BEAMS, do_sample=False,
            max_new_tokens=min(LONGEST, 2 * count + 16), **more,
        )  # fmt: skip
        words = str(tokenizer.decode(said[0], skip_special_tokens=True)).strip()
        if not words:
            raise TranslationFailed(language, "nothing came out of it")
        return words

    def _loaded(self) -> Any:
        if self._model is None:
            from transformers import AutoModelForSeq2SeqLM

            self._model = AutoModelForSeq2SeqLM.from_pretrained(str(self._folder), local_files_only=True).eval()
        return self._model


class Several:
    """The first of some translators that reads a language."""

    def __init__(self, each: Sequence[SequenceTranslator]) -> None:
        self._each = each

    def reads(self, language: str, target: str) -> bool:
        return any(one.reads(language, target) for one in self._each)

    def translate(self, text: str, language: str, target: str) -> str:
        return next(one for one in self._each if one.reads(language, target)).translate(text, language, target)


def installed(folder: Path) -> Several:
    """The translators of a folder: a model, or one model in each of its folders.

    Raises:
        BadInput: ``bad_translator``.
    """
    if (folder / "config.json").is_file():
        return Several([SequenceTranslator(folder)])
    inside = sorted(path.parent for path in folder.glob("*/config.json"))
    if not inside:
        raise _bad(folder, "it holds no model: there is no config.json in it or in a folder of it")
    return Several([SequenceTranslator(each) for each in inside])


def _short(code: str) -> str:
    """ISO 639-1 for a tokenizer's code: de, deu, deu_Latn."""
    code = code.partition("_")[0]
    return THREE_LETTERS.get(code, code)


def _config(folder: Path) -> Mapping[str, Any]:
    try:
        read = json.loads((folder / "config.json").read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise _bad(folder, "its config.json cannot be read") from error
    return read if isinstance(read, dict) else {}


def _bad(folder: Path, why: str) -> BadInput:
    return BadInput(f"The translator in {folder} cannot be used: {why}.", code="bad_translator")
