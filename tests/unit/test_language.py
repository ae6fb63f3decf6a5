"""Prompts in any language: what is certain of a few words, and what a model is told of them."""

from __future__ import annotations

from typing import Any

import pytest

from nanobana.protocol.geometry import Box
from nanobana.protocol.parameters import EditParams
from nanobana_engine.language import NAMES, Interpreter, TranslationFailed, detect
from nanobana_engine.language.detect import LETTERS, SCRIPTS, WORDS
from support.adapters import preset
from support.languages import Shouting

SAID = {
    "ar": "تفاحة حمراء على الطاولة", "bn": "টেবিলের উপর একটি লাল আপেল", "cs": "malý červený dům pod stromem",
    "da": "en hvid kat på et tag uden skorsten", "de": "ein roter Apfel auf dem Tisch", "el": "ένα κόκκινο μήλο",
    "en": "a red apple on the table", "es": "una manzana roja sobre la mesa", "fa": "یک سیب قرمز روی میز چوبی",
    "fi": "punainen omena ja vihreä puu", "fr": "une pomme rouge sur la table", "he": "תפוח אדום על השולחן",
    "hi": "मेज पर एक लाल सेब", "hu": "egy piros alma az asztalon", "id": "sebuah apel merah di atas meja",
    "it": "una mela rossa con la foglia sotto il tavolo", "ja": "テーブルの上の赤いりんご", "ko": "탁자 위의 빨간 사과",
    "nl": "een rode appel met een blad op het bord", "no": "et rødt eple ved siden av et hvitt hus uten tak",
    "pl": "czerwone jabłko na stole", "pt": "uma maçã vermelha com uma folha", "ro": "un măr roșu pe masă",
    "ru": "красное яблоко на столе", "sv": "ett rött äpple på bordet", "ta": "சிவப்பு ஆப்பிள்", "te": "ఎర్ర ఆపిల్",
    "th": "แอปเปิ้ลสีแดงบนโต๊ะ", "tr": "masanın üzerinde kırmızı bir elma", "uk": "червоне яблуко на столі біля вікна ї",
    "ur": "میز پر ایک سرخ سیب ہے", "vi": "một quả táo đỏ trên bàn", "zh": "桌子上的红苹果",
}  # fmt: skip


@pytest.mark.parametrize("language", NAMES)
def test_a_sentence_of_every_language_is_known_for_what_it_is(language: str) -> None:
    assert detect(SAID[language]) == language


@pytest.mark.parametrize("text", ["", "1234 !?", "apple", "Tokyo Skyline", "croissant", "K9-3000", "ᚠᚢᚦ", "😀"])
def test_what_is_not_certain_is_not_guessed(text: str) -> None:
    assert detect(text) is None


PLAIN = {
    "de": ["Segelboot im Hafen", "mach den Himmel dunkler"], "es": ["un hombre mayor lee el periódico", "banco vacío"],
    "fr": ["un vieil homme lit le journal", "banc vide"], "it": ["barca a vela nel porto"],
    "nl": ["een oude man leest de krant"], "pl": ["dwoje dzieci gra w piłkę nożną"], "pt": ["um velho lê o jornal"],
    "sv": ["två barn som spelar fotboll"], "tr": ["yaşlı bir adam gazete okuyor"], "vi": ["hai đứa trẻ chơi bóng"],
}  # fmt: skip


@pytest.mark.parametrize("text", [text for texts in PLAIN.values() for text in texts])
def test_what_people_ask_for_is_known_by_a_few_small_words_or_left_alone(text: str) -> None:
    assert detect(text) in (None, next(language for language, texts in PLAIN.items() if text in texts))


def test_most_short_wishes_are_known_for_what_they_are() -> None:
    known = [detect(text) == language for language, texts in PLAIN.items() for text in texts]
    assert sum(known) >= 0.8 * len(known)


BORROWED = [
    "die hard poster", "el camino truck", "no people", "un building in new york", "jalapeño pepper", "über cool robot",
    "café table with croissant", "la la land style couple dancing", "as above so below", "der spiegel magazine cover",
    "crème brûlée", "los angeles skyline at dusk", "hot air balloon festival", "la dolce vita poster",
    "a glass of red wine", "pizza margherita", "vi editor on a screen", "per my last email", "kimono",
]  # fmt: skip


@pytest.mark.parametrize("text", BORROWED)
def test_english_that_borrows_words_is_never_taken_for_another_language(text: str) -> None:
    assert detect(text) in (None, "en")


def test_capitals_and_numbers_change_nothing_and_the_larger_part_of_a_mixture_decides() -> None:
    assert detect("EIN ROTER APFEL, 50 mm") == "de"
    assert detect("Tokyo の赤いりんごとテーブル") == "ja"
    assert detect("a red apple on the table, 苹果") == "en"


def test_every_language_that_can_be_answered_has_a_name() -> None:
    answers = {*SCRIPTS.values(), *WORDS, *(language for own in LETTERS.values() for language in own)}
    assert answers == set(NAMES)


def _edit(prompt: str, **facts: Any) -> EditParams:
    return EditParams(box=Box(0, 0, 8, 8), prompt=prompt, mask_blob="0" * 32, **facts)


ENGLISH = preset(name="m", languages=("en",), takes=frozenset({"negative"}))


def test_a_foreign_prompt_is_translated_and_what_was_understood_is_told() -> None:
    reading = Interpreter(Shouting()).read(_edit("ein roter Apfel", negative="der Baum und ein Blatt"), ENGLISH)
    assert (reading.edit.prompt, reading.understood) == ("EIN ROTER APFEL", "EIN ROTER APFEL")
    assert reading.edit.negative == "DER BAUM UND EIN BLATT"
    assert reading.notice == ""


@pytest.mark.parametrize("prompt", ["a red apple on a table", "apple", ""])
def test_what_the_model_reads_or_nobody_can_name_goes_straight_through(prompt: str) -> None:
    translator = Shouting()
    edit = _edit(prompt)
    reading = Interpreter(translator).read(edit, ENGLISH)
    assert reading.edit is edit or reading.edit == edit
    assert (reading.understood, reading.notice, translator.calls) == ("", "", [])


@pytest.mark.parametrize("facts", [{"languages": ("*",)}, {"languages": ("de",)}, {"translates": False}])
def test_a_model_that_understands_it_or_wants_no_translation_gets_the_prompt_itself(facts: dict[str, Any]) -> None:
    translator = Shouting()
    reading = Interpreter(translator).read(_edit("ein roter Apfel"), preset(**facts))
    assert (reading.edit.prompt, reading.notice, translator.calls) == ("ein roter Apfel", "", [])


@pytest.mark.parametrize(
    ("translator", "prompt", "said"),
    [
        (None, "ein roter Apfel", "This looks German, which m may not understand: no translator is installed"),
        (Shouting(), "une pomme rouge sur la table", "looks French.*no installed translator reads it"),
    ],
)
def test_without_a_translator_the_edit_runs_with_its_own_words_and_says_so(
    translator: Any, prompt: str, said: str
) -> None:
    reading = Interpreter(translator).read(_edit(prompt), ENGLISH)
    assert (reading.edit.prompt, reading.understood) == (prompt, "")
    with pytest.raises(AssertionError, match=said):
        raise AssertionError(reading.notice)


def test_what_can_be_translated_is_although_the_rest_cannot() -> None:
    reading = Interpreter(Shouting()).read(_edit("ein roter Apfel", negative="une pomme rouge sur la table"), ENGLISH)
    assert (reading.understood, reading.edit.negative) == ("EIN ROTER APFEL", "une pomme rouge sur la table")
    assert "French" in reading.notice


def test_a_translator_that_fails_fails_the_edit_with_a_sentence() -> None:
    with pytest.raises(TranslationFailed, match="from German") as failed:
        Interpreter(Shouting()).read(_edit("ein kaputter Apfel auf der kaputten Bank"), ENGLISH)
    assert failed.value.code == "translation_failed"


def test_a_prompt_is_translated_once_and_its_weights_stay() -> None:
    translator = Shouting()
    interpreter, weighs = Interpreter(translator), preset(languages=("en",), takes=frozenset({"weights"}))
    readings = [interpreter.read(_edit("ein (roter:1.3) Apfel auf der Bank"), weighs) for _ in range(3)]
    assert {reading.understood for reading in readings} == {"EIN (ROTER:1.3) APFEL AUF DER BANK"}
    assert translator.calls == ["ein", "roter", "Apfel auf der Bank"]


def test_erasing_reads_no_prompt() -> None:
    translator = Shouting()
    assert Interpreter(translator).read(_edit("ein roter Apfel", mode="erase"), ENGLISH).understood == ""
    assert translator.calls == []


def test_each_edit_is_read_for_the_model_that_it_runs_on() -> None:
    interpreter, edit = Interpreter(Shouting()), _edit("ein roter Apfel")
    german, any_ = preset(name="g", languages=("de",)), preset(name="a", languages=("*",))
    assert interpreter.read(edit, ENGLISH).understood == "EIN ROTER APFEL"
    assert (interpreter.read(edit, german).understood, interpreter.read(edit, any_).understood) == ("", "")
    assert interpreter.may_take_long(ENGLISH)
    assert not interpreter.may_take_long(any_)
