"""Models from the hub: downloaded once with progress, gone on with when it breaks off, and clear when it cannot be."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from nanobana.protocol.errors import NanobanaError
from nanobana_engine.models.hub import Hub
from nanobana_engine.models.registry import Library
from support.hub import FakeHub, fake_hub
from support.tiny import sd3_pipeline, sd_pipeline

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
REPO = "team/tiny"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    sd_pipeline(9).save_pretrained(folder)
    (folder / "README.md").write_text("not needed")
    (folder / "unet" / "diffusion_pytorch_model.non_ema.safetensors").write_bytes(b"not needed")
    return folder


@pytest.fixture
def hub(model: Path) -> Iterator[FakeHub]:
    with fake_hub() as served:
        served.repos[REPO] = model
        yield served


def _library(tmp_path: Path, url: str) -> Library:
    return Library(None, Hub(tmp_path / "cache", url))


def test_a_model_is_downloaded_once_and_only_what_it_needs(hub: FakeHub, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    loaded = _library(tmp_path, hub.url).load(REPO, "cpu", lambda here, whole: told.append((here, whole)))
    assert loaded.preset.repo == REPO
    assert told[0][0] == 0
    assert told[-1] == (told[0][1], told[0][1])
    assert told[0][1] > 100_000
    sent = {name.partition("@")[0] for name in hub.asked}
    assert {"model_index.json", "vae/config.json", "unet/diffusion_pytorch_model.safetensors"} <= sent
    assert not any("README" in name or "non_ema" in name for name in sent)

    hub.asked.clear()
    _library(tmp_path, hub.url).load(REPO, "cpu", lambda here, whole: told.append((here, whole)))
    assert not any("safetensors" in name for name in hub.asked)


def test_a_download_whose_connection_breaks_is_gone_on_with(hub: FakeHub, tmp_path: Path) -> None:
    hub.cut_after = 30_000
    loaded = _library(tmp_path, hub.url).load(REPO, "cpu")
    assert loaded.preset.name == "tiny"
    weights = [name for name in hub.asked if name.startswith("unet/diffusion_pytorch_model")]
    assert len(weights) == 2


def test_a_model_that_was_downloaded_loads_without_the_hub(hub: FakeHub, tmp_path: Path) -> None:
    (tmp_path / "presets.toml").write_text(f'[presets.ours]\nfamily = "sd"\nrepo = "{REPO}"\n')
    Library(tmp_path, Hub(tmp_path / "cache", hub.url)).load("ours", "cpu")
    away = Library(tmp_path, Hub(tmp_path / "cache", "http://127.0.0.1:9"))
    assert away.installed(away.catalogue.preset("ours"))
    assert away.load("ours", "cpu").preset.name == "ours"


def test_half_a_download_is_not_installed_and_says_so_without_the_hub(hub: FakeHub, tmp_path: Path) -> None:
    (tmp_path / "presets.toml").write_text(f'[presets.ours]\nfamily = "sd"\nrepo = "{REPO}"\n')
    Library(tmp_path, Hub(tmp_path / "cache", hub.url)).load("ours", "cpu")
    next((tmp_path / "cache").glob("models--*/snapshots/*/unet/*.safetensors")).unlink()
    away = Library(tmp_path, Hub(tmp_path / "cache", "http://127.0.0.1:9"))
    assert away.installed(away.catalogue.preset("ours")) is None
    with pytest.raises(NanobanaError, match="not on this machine and the hub cannot be reached") as refused:
        away.load("ours", "cpu")
    assert refused.value.code == "offline"
    assert Library(tmp_path, Hub(tmp_path / "cache", hub.url)).load("ours", "cpu").preset.name == "ours"


def test_a_model_that_no_family_knows_is_downloaded_by_its_own_index(
    hub: FakeHub, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("sd3")
    sd3_pipeline().save_pretrained(folder)
    hub.repos["team/sd3"] = folder
    assert _library(tmp_path, hub.url).load("team/sd3", "cpu").preset.pipeline == "StableDiffusion3InpaintPipeline"


@pytest.mark.parametrize(
    ("repo", "code", "said"),
    [
        ("team/gone", "unknown_model", "The hub has no model team/gone"),
        ("team/gated", "gated_model", "agreed to its licence"),
        ("team/empty", "unknown_model", "holds no model in diffusers format"),
        ("team/..", "unknown_model", "no name of a model"),
    ],
)
def test_what_cannot_be_downloaded_says_why(hub: FakeHub, tmp_path: Path, repo: str, code: str, said: str) -> None:
    (tmp_path / "empty").mkdir()
    hub.repos |= {"team/gated": hub.repos[REPO], "team/empty": tmp_path / "empty"}
    hub.gated.add("team/gated")
    with pytest.raises(NanobanaError, match=said) as refused:
        _library(tmp_path, hub.url).load(repo, "cpu")
    assert refused.value.code == code


def test_a_hub_that_is_away_says_what_to_do(tmp_path: Path) -> None:
    for model in (REPO, "sd15-inpaint"):
        with pytest.raises(NanobanaError, match="--model FOLDER") as refused:
            _library(tmp_path, "http://127.0.0.1:9").load(model, "cpu")
        assert refused.value.code == "offline"
