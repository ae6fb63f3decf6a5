"""Models by name: the presets that ship, a team's own beside them, and what `nanobana models` says of them."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

from nanobana.protocol.errors import BadInput, NotFound
from nanobana_engine.models.catalogue import Catalogue
from nanobana_engine.models.cli import run
from nanobana_engine.models.hub import Hub
from nanobana_engine.models.registry import Library

CATALOGUE = Catalogue.read()


@pytest.mark.parametrize("family", CATALOGUE.families)
def test_every_familys_adapter_can_be_imported_and_loads_folders(family: str) -> None:
    module, _, name = CATALOGUE.families[family].adapter.partition(":")
    assert callable(getattr(importlib.import_module(module), name).from_folder)


@pytest.mark.parametrize("name", CATALOGUE.presets)
def test_every_preset_says_where_it_comes_from_and_under_which_licence(name: str) -> None:
    preset = CATALOGUE.preset(name)
    family = CATALOGUE.families[preset.family]
    assert preset.licence
    assert preset.languages
    assert "*" in family.pipelines or preset.pipeline in ("", *family.pipelines)
    assert bool(preset.repo) == (name != "nano")


def test_the_preset_of_nano_is_what_its_network_was_trained_for() -> None:
    from nanobana_engine.models.nano.codec import NATIVE, PATCH

    preset = CATALOGUE.preset("nano")
    assert (preset.native, preset.latent_stride) == (NATIVE, PATCH)
    assert preset.takes_references


def test_a_teams_own_presets_add_to_those_that_ship_and_replace_them_by_name(tmp_path: Path) -> None:
    (tmp_path / "presets.toml").write_text(
        '[presets.ours]\nfamily = "z-image"\nrepo = "team/ours"\n'
        '[presets.z-image-turbo]\nfamily = "z-image"\nrepo = "team/turbo"\nguidance = 2.0\n'
    )
    own = Library(tmp_path).catalogue
    assert own.preset("ours").native == CATALOGUE.defaults["z-image"].native
    assert (own.preset("z-image-turbo").repo, own.preset("z-image-turbo").guidance) == ("team/turbo", 2.0)
    assert "nano" in own.presets


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[presets.x]\nrepo = 'a/b'", "lacks 'family'"),
        ("[presets.x]\nfamily = 'nano'\nstepps = 3", "no field stepps"),
        ("[presets.x]\nfamily = 'nano'\nnative = 'large'", "Expected `int`"),
        ("[presets.x]\nfamily = 'nano'\nsteps = { draft = 1 }", "steps need"),
        ("[presets.x]\nfamily = 'nano'\nmin_side = 4096", "must rise"),
        ("[presets", "presets.toml"),
    ],
)
def test_presets_that_cannot_be_used_say_which_file_and_why(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "presets.toml").write_text(text)
    with pytest.raises(BadInput, match=said) as refused:
        Library(tmp_path)
    assert refused.value.code == "bad_presets"
    assert str(tmp_path) in refused.value.message


def test_an_unknown_name_is_refused_with_the_names_that_there_are() -> None:
    with pytest.raises(NotFound, match="Known by name: nano, ") as refused:
        Library().choose("sdxl-that-is-not-here")
    assert refused.value.code == "unknown_model"


def test_the_list_names_each_model_with_its_licence_and_whether_it_is_here(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    library = Library(tmp_path, Hub(tmp_path / "cache"))
    assert run(library) == 0
    told = capsys.readouterr().out
    rows = {line.split()[0]: line for line in told.splitlines() if line}
    for preset in library.catalogue.presets.values():
        assert preset.licence in rows[preset.name]
        assert (" yes " in rows[preset.name]) == (preset.name == "nano")

    assert run(library, as_json=True) == 0
    listed = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert listed.keys() == library.catalogue.presets.keys()
    assert listed["nano"]["installed"]
    assert listed["z-image-turbo"]["installed"] is None


def test_the_list_shows_a_teams_own_folders_and_leaves_out_what_is_no_model(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, index in (("ours", '{"_class_name": "ZImagePipeline"}'), ("broken", "{")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "model_index.json").write_text(index)
    (tmp_path / "presets.toml").write_text('[presets.absent]\nfamily = "sd"\n')
    library = Library(tmp_path, Hub(tmp_path / "cache"))
    run(library, as_json=True)
    listed = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert (listed["ours"]["family"], listed["ours"]["installed"]) == ("z-image", None)
    assert "broken" not in listed
    run(library)
    assert "no folder of that name" in capsys.readouterr().out
    with pytest.raises(NotFound, match="names no repository"):
        library.load("absent", "cpu")


def test_listing_the_models_loads_no_torch() -> None:
    script = "import sys; from nanobana_engine.models import cli; cli.main(as_json=True); print('torch' in sys.modules)"
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert told.splitlines()[-1] == "False"
