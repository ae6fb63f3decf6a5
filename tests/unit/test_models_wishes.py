"""What an edit asks of a model, before any work: styles, LoRAs, and what a model does not take."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from nanobana.protocol.errors import BadInput
from nanobana.protocol.geometry import Box
from nanobana.protocol.parameters import EditParams, Lora
from nanobana_engine.models.preset import Preset, Worn
from nanobana_engine.models.shelf import PLACE, Shelf
from nanobana_engine.models.wishes import understood
from nanobana_engine.worker.facts import CHECKS, Facts

ALL = Preset(name="all", takes=frozenset({"negative", "guidance", "steps", "styles", "weights", "loras"}))
NONE = Preset(name="none")


def _edit(**asked: object) -> EditParams:
    return EditParams(**{"box": Box(0, 0, 8, 8), "prompt": "a dog", **asked})  # type: ignore[arg-type]


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    (tmp_path / "styles.toml").write_text('[Ours]\nprompt = "{prompt}, our way"\nnegative = "theirs"\n')
    (tmp_path / "loras").mkdir()
    for name in ("grain.safetensors", "toy.safetensors", "notes.txt"):
        (tmp_path / "loras" / name).write_bytes(b"")
    return Shelf(tmp_path)


def test_every_style_that_ships_puts_the_prompt_in_its_place() -> None:
    styles = Shelf().styles
    assert len(styles) >= 10
    for style in styles.values():
        prompt, _ = style.of("a dog", "")
        assert "a dog" in prompt
        assert PLACE not in prompt


def test_a_style_fills_prompt_and_negative_and_leaves_an_empty_prompt_alone(shelf: Shelf) -> None:
    edit, _ = understood(_edit(style="Ours", negative="cats"), ALL, shelf)
    assert (edit.prompt, edit.negative) == ("a dog, our way", "cats, theirs")
    edit, _ = understood(_edit(style="Ours", prompt=""), ALL, shelf)
    assert (edit.prompt, edit.negative) == ("", "")


def test_loras_are_worn_by_name_with_their_weight(shelf: Shelf, tmp_path: Path) -> None:
    _, loras = understood(_edit(loras=[Lora(name="toy", weight=0.6)]), ALL, shelf)
    assert loras == (Worn(tmp_path / "loras" / "toy.safetensors", 0.6),)


@pytest.mark.parametrize(
    ("asked", "code", "said"),
    [
        ({"style": "Baroque"}, "unknown_style", r"no style 'Baroque'\. There are: .*…\."),
        ({"loras": [Lora(name="notes")]}, "unknown_lora", r"no LoRA 'notes'\. There are: grain, toy\."),
        ({"loras": [Lora(name="../toy")]}, "unknown_lora", "no LoRA"),
        ({"negative": "(cats:9)"}, "bad_weight", "“cats” has 9"),
    ],
)
def test_what_a_model_cannot_do_is_refused_before_any_work(
    shelf: Shelf, asked: dict[str, object], code: str, said: str
) -> None:
    with pytest.raises(BadInput, match=said) as refused:
        understood(_edit(**asked), ALL, shelf)
    assert refused.value.code == code


def test_a_model_is_asked_for_nothing_that_it_does_not_take(shelf: Shelf) -> None:
    asked = _edit(prompt="a (dog:1.4)", negative="cats", guidance=5.0, steps=9)
    edit, _ = understood(asked, NONE, shelf)
    assert (edit.prompt, edit.negative, edit.guidance, edit.steps) == ("a dog", "", None, None)
    edit, _ = understood(asked, ALL, shelf)
    assert edit == asked
    for wish in ({"style": "Ours"}, {"loras": [Lora(name="toy")]}):
        with pytest.raises(BadInput, match="it has none here"):
            understood(_edit(**wish), NONE, shelf)


def test_steps_that_are_asked_for_hold_at_every_quality() -> None:
    assert set(ALL.with_steps(17).steps.values()) == {17}
    assert ALL.with_steps(None) is ALL


def test_a_style_file_is_read_again_when_it_changes_and_a_broken_one_changes_nothing(
    shelf: Shelf, tmp_path: Path
) -> None:
    file = tmp_path / "styles.toml"
    assert "Ours" in shelf.styles
    for n, (text, there) in enumerate(
        [('[New]\nprompt = "new {prompt}"\n', "New"), ('[Bad]\nprompt = "no place"\n', "New"), ("[x", "New")]
    ):
        file.write_text(text)
        os.utime(file, ns=(n + 1, n + 1))
        assert there in shelf.styles
        assert "Bad" not in shelf.styles


def test_an_engine_says_what_its_model_takes_and_leaves_out_loras_that_do_not_fit(
    shelf: Shelf, caplog: pytest.LogCaptureFixture
) -> None:
    asked: list[str] = []

    def check(path: Path) -> None:
        asked.append(path.stem)
        if path.stem == "grain":
            raise BadInput("made for another model", code="wrong_lora")

    facts = Facts(ALL, shelf, check)
    assert facts.now().loras == ["toy"]
    assert facts.now() == facts.now()
    assert asked == ["grain", "toy"]
    assert "Ours" in facts.now().styles
    bare = Facts(NONE, shelf, None).now()
    assert (bare.name, bare.styles, bare.loras, bare.takes) == ("none", [], [], [])


def test_a_folder_of_many_loras_is_looked_through_a_few_at_a_time(tmp_path: Path) -> None:
    (tmp_path / "loras").mkdir()
    for n in range(CHECKS + 3):
        (tmp_path / "loras" / f"{n:02}.safetensors").write_bytes(b"")
    facts = Facts(ALL, Shelf(tmp_path), lambda _: None)
    assert [len(facts.now().loras) for _ in range(3)] == [CHECKS, CHECKS + 3, CHECKS + 3]
