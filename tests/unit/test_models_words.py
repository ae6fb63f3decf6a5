"""Weights of words in a prompt, as people know them from Stable Diffusion's programs."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nanobana.protocol.errors import BadInput
from nanobana_engine.models.words import Weighted, plain, weighted


@pytest.mark.parametrize(
    ("prompt", "pieces"),
    [
        ("", [("", 1.0)]),
        ("a red apple", [("a red apple", 1.0)]),
        ("a (red:1.3) apple", [("a ", 1.0), ("red", 1.3), (" apple", 1.0)]),
        ("a (red)1.3 apple", [("a ", 1.0), ("red", 1.3), (" apple", 1.0)]),
        ("a (red) apple", [("a ", 1.0), ("red", 1.1), (" apple", 1.0)]),
        ("a [red] apple", [("a ", 1.0), ("red", 1 / 1.1), (" apple", 1.0)]),
        ("((red))", [("red", 1.21)]),
        ("(a (red:2) apple:0.5)", [("a ", 0.5), ("red", 1.0), (" apple", 0.5)]),
        ("a red++ apple", [("a ", 1.0), ("red", 1.21), (" apple", 1.0)]),
        ("(red apple)--, tree", [("red apple", 0.81), (", tree", 1.0)]),
        ("(red:.5)", [("red", 0.5)]),
        (r"a \(red\) apple", [("a (red) apple", 1.0)]),
        ("a (red apple", [("a (red apple", 1.0)]),
        ("a red) apple", [("a red) apple", 1.0)]),
        ("well-known, 10:30", [("well-known, 10:30", 1.0)]),
        ("an apple - a tree", [("an apple - a tree", 1.0)]),
        ("(red:dark)", [("red:dark", 1.1)]),
    ],
)
def test_a_prompt_is_cut_where_its_weights_change(prompt: str, pieces: list[tuple[str, float]]) -> None:
    found = weighted(prompt)
    assert [piece.text for piece in found] == [text for text, _ in pieces]
    assert [piece.weight for piece in found] == pytest.approx([weight for _, weight in pieces])


@pytest.mark.parametrize("prompt", ["(red:3.5)", "(" * 13 + "red" + ")" * 13, "(red:99999999)"])
def test_a_weight_beyond_reason_is_refused_with_its_words(prompt: str) -> None:
    with pytest.raises(BadInput, match="“red”") as refused:
        weighted(prompt)
    assert refused.value.code == "bad_weight"


@pytest.mark.parametrize(
    ("prompt", "words"),
    [
        ("a (red:1.3) apple", "a red apple"),
        ("a (red)1.3 apple++", "a red apple"),
        ("a dog (seen from behind)", "a dog (seen from behind)"),
        ("a ((red:1.2) and blue) dog", "a (red and blue) dog"),
        ("(red:99) apple", "red apple"),
        (r"\(red\)", "(red)"),
    ],
)
def test_for_a_model_without_weights_only_the_weights_go(prompt: str, words: str) -> None:
    assert plain(prompt) == words


@given(st.text(alphabet="ab ()[]\\:+-.13,", max_size=60))
def test_no_text_breaks_it_and_none_of_it_is_lost_but_marks(prompt: str) -> None:
    try:
        found = weighted(prompt)
    except BadInput:
        return
    said = "".join(piece.text for piece in found)
    assert [mark for mark in said if mark in "ab"] == [mark for mark in prompt if mark in "ab"]
    assert all(math.isfinite(piece.weight) for piece in found)
    assert isinstance(plain(prompt), str)


def test_a_thousand_brackets_are_no_trouble() -> None:
    prompt = "(" * 1000 + "red" + ")" * 1000
    assert "red" in plain(prompt)
    with pytest.raises(BadInput):
        weighted(prompt)


def test_neighbours_of_one_weight_are_one_piece() -> None:
    assert weighted("(a:1.5)(b:1.5)") == [Weighted("ab", 1.5)]
