"""The asset pack: quick to open, complete, and deterministic to write."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from nanobana_engine.assets import cli
from nanobana_engine.assets.normalise import normalise
from nanobana_engine.assets.pack import PACK_PATH, AssetPack, PackMissing, write_pack

built = pytest.mark.skipif(not PACK_PATH.exists(), reason="the asset pack is not built: make assets")


@built
def test_the_pack_opens_and_finds_a_picture_in_under_a_third_of_a_second() -> None:
    started = time.perf_counter()
    pack = AssetPack()
    picture = pack.lookup("apple")[0].picture
    assert pack.image(picture).shape == (256, 256, 4)
    assert time.perf_counter() - started < 0.3


@built
def test_it_knows_over_a_thousand_pictures_in_over_a_hundred_languages() -> None:
    pack = AssetPack()
    assert len(pack) > 1400
    assert len(pack.languages) >= 100
    assert not any("skin tone" in info.name for info in pack.pictures if info.group != "component")


@built
def test_every_picture_has_an_english_name_that_finds_it() -> None:
    pack = AssetPack()
    for info in pack.pictures[::37]:
        assert info.picture in {p.picture for p in pack.lookup(normalise(info.name))}, info


@built
def test_the_licences_stand_beside_the_pack() -> None:
    folder = PACK_PATH.parent
    names = {p.name for p in folder.iterdir()}
    assert {"NOTICE", "LICENSE.cldr", "LICENSE.emojibase", "LICENSE.emojilib", "LICENSE.fluent-emoji"} <= names


def test_a_missing_pack_says_how_to_build_it(tmp_path: Path) -> None:
    with pytest.raises(PackMissing, match=r"nanobana_engine\.assets\.build"):
        AssetPack(tmp_path / "absent.pack")


def test_the_same_input_writes_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_pack(tmp_path / name, {"languages": ["en"]}, {"pictures": json.dumps([]).encode(), "terms": b"x" * 100})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert len(AssetPack(tmp_path / "a")) == 0


@pytest.mark.parametrize(
    ("written", "stored"),
    [
        ("Red  Apple!", "red apple"),
        ("Äpfel", "apfel"),
        ("ГРУША", "груша"),
        ("りんご", "りんご"),
        ("हाथी", "हाथी"),
        ("تُفَّاحة", "تفاحة"),
    ],
)
def test_words_are_normalised_without_harming_other_scripts(written: str, stored: str) -> None:
    assert normalise(written) == stored


@built
def test_the_command_explains_a_prompt_and_refuses_a_strange_language(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run("drei rote Äpfel") == 0
    assert "3 × " in capsys.readouterr().out
    assert cli.run(None, "tlh") == 2
    assert cli.run("pomme", "fr") == 0
    assert "🍎" in capsys.readouterr().out
