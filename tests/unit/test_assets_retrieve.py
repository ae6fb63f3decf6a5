"""Retrieval: what a prompt in any language asks for, and what is refused."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from nanobana_engine.assets.meaning import Understood, UnknownPrompt
from nanobana_engine.assets.pack import PACK_PATH, AssetPack
from nanobana_engine.assets.retrieve import MOST_THINGS, Retriever

pytestmark = pytest.mark.skipif(not PACK_PATH.exists(), reason="the asset pack is not built: make assets")

Ask = Callable[[str], Understood]


@pytest.fixture(scope="module")
def pack() -> AssetPack:
    return AssetPack()


@pytest.fixture(scope="module")
def ask(pack: AssetPack) -> Ask:
    return Retriever(pack).understand


def _emoji(pack: AssetPack, understood: Understood) -> str:
    return "".join(pack.pictures[t.picture].emoji.strip("\ufe0f") * t.count for t in understood.things)


@pytest.mark.parametrize(
    "prompt",
    [
        "苹果",
        "manzana",
        "Apfel",
        "りんご",
        "تفاحة",
        "a red apple",
        "apple",
        "an aple",
        "an aplpe",
        "applee",
        "Äpfel",
        "pomme",
        "яблоко",
    ],
)
def test_an_apple_is_an_apple_in_every_language(pack: AssetPack, ask: Ask, prompt: str) -> None:
    assert set(_emoji(pack, ask(prompt))) == {"🍎"}


@pytest.mark.parametrize(
    ("prompt", "emoji"),
    [
        ("three balloons", "🎈🎈🎈"),
        ("drei Äpfel", "🍎🍎🍎"),
        ("两个苹果", "🍎🍎"),
        ("a cat and a dog", "🐈🐕"),
        ("🍕", "🍕"),
        ("two 🐶 and a 🎈", "🐶🐶🎈"),
        ("mice", "🐁🐁🐁"),
        ("black cat", "🐈\u200d⬛"),
        ("sea turtle", "🐢"),
        ("chocolate cake", "🍰"),
        ("unicorn, rainbow, pizza", "🦄🌈🍕"),
        ("a shiny happy dog", "🐕"),
        ("butterflys", "🦋🦋🦋"),
        ("corn", "🌽"),
        ("paple", "🍎"),
        ("a hot air balloon", "🎈"),
        ("cold beer", "🍺"),
        ("a hot dog", "🌭"),
    ],
)
def test_a_prompt_names_its_things_and_how_many(pack: AssetPack, ask: Ask, prompt: str, emoji: str) -> None:
    assert _emoji(pack, ask(prompt)) == emoji


@pytest.mark.parametrize(
    ("prompt", "ground", "light"),
    [
        ("a cat on a beach at sunset", "beach", "sunset"),
        ("brick wall", "brick", None),
        ("沙滩上的狗", "beach", None),
        ("der Hund im Schnee", "snow", None),
        ("a house at night", None, "night"),
        ("night sky", "night", None),
        ("a mountain", None, None),
        ("a table", None, None),
        ("a cup on a table", "wood", None),
    ],
)
def test_a_prompt_says_where_and_in_what_light(ask: Ask, prompt: str, ground: str | None, light: str | None) -> None:
    try:
        understood = ask(prompt)
    except UnknownPrompt:
        assert ground is None
        return
    assert (understood.ground, understood.light) == (ground, light)


@pytest.mark.parametrize(
    ("prompt", "colour", "size"),
    [("a blue apple", "blue", None), ("eine kleine rote Katze", "red", "small"), ("un perro negro", "black", None)],
)
def test_colour_and_size_words_stay_with_their_thing(ask: Ask, prompt: str, colour: str, size: str | None) -> None:
    thing = ask(prompt).things[0]
    assert (thing.colour, thing.size) == (colour, size)


def test_a_colour_that_another_picture_has_picks_that_picture(pack: AssetPack, ask: Ask) -> None:
    assert _emoji(pack, ask("a green apple")) == "🍏"


def test_a_coloured_ground_keeps_its_colour(ask: Ask) -> None:
    understood = ask("white background")
    assert (understood.ground, understood.ground_colour) == ("plain", "white")


@pytest.mark.parametrize("prompt", ["", "  ", "nothing", "remove it", "entfernen"])
def test_an_empty_prompt_continues_the_surroundings(ask: Ask, prompt: str) -> None:
    assert ask(prompt).nothing


@pytest.mark.parametrize("word", ["zorgon", "vodka", "hjsdkfhsdkjf", "gloop"])
def test_an_unknown_word_is_refused_with_the_nearest_names(ask: Ask, word: str) -> None:
    with pytest.raises(UnknownPrompt) as refused:
        ask(f"a {word}")
    assert refused.value.word == word
    assert len(refused.value.suggestions) == 3
    assert str(refused.value).startswith(f"I do not know “{word}”. Did you mean ")


def test_suggestions_are_themselves_understood(ask: Ask) -> None:
    with pytest.raises(UnknownPrompt) as refused:
        ask("zorgon")
    assert all(not ask(name).nothing for name in refused.value.suggestions)


def test_no_prompt_asks_for_more_things_than_fit(ask: Ask) -> None:
    assert sum(t.count for t in ask("ten cats, nine dogs and eight balloons").things) == MOST_THINGS


def test_a_prompt_is_understood_in_a_few_milliseconds(ask: Ask) -> None:
    ask("warm up the tables: an aple")
    started = time.perf_counter()
    for _ in range(20):
        ask("three red balloons and a small dog on a beach at sunset")
    assert (time.perf_counter() - started) / 20 < 0.05
