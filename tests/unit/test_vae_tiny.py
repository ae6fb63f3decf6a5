"""A tiny VAE draws the previews, and results where a preset settles for them (E9)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from nanobana.protocol.errors import BadInput, NotFound
from nanobana.protocol.geometry import Box
from nanobana_engine.models.registry import Library
from nanobana_engine.models.sd.adapter import SdAdapter
from nanobana_engine.models.vae.parts import finer
from nanobana_engine.models.vae.tiny import TinyVae
from support.edits import edited, mask_in, photo
from support.tiny import sd_pipeline, tiny_vae

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
PRESET = """
[presets.ours]
family = "sd"
native = 64
min_side = 64
max_side = 256
tiny_vae = "small"
tiny_vae_results = {results}
"""


def _latents() -> torch.Tensor:
    return torch.randn(4, 40, 48, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("box", [Box(18, 17, 24, 22), Box(0, 0, 4, 5), Box(37, 31, 48, 40)])
def test_E9_a_part_by_the_tiny_vae_is_that_part_of_its_whole(box: Box) -> None:
    tiny, beneath = TinyVae(tiny_vae(), 8), np.full((320, 384, 3), 0.5, np.float32)
    cells = np.zeros((40, 48), np.bool_)
    cells[box.y0 : box.y1, box.x0 : box.x1] = True
    found, whole = tiny.decode_part(_latents(), cells, beneath), tiny.decode(_latents())
    inside = finer(cells, 8)
    assert np.abs(found - whole)[inside].max() < 1e-4
    found[inside] = 0.5
    assert (found == 0.5).all()


def test_its_pictures_are_those_of_diffusers() -> None:
    net = tiny_vae()
    with torch.inference_mode():
        theirs = (net.decode(_latents()[None]).sample[0] / 2 + 0.5).clamp(0, 1).permute(1, 2, 0).numpy()
    assert np.abs(TinyVae(net, 8).decode(_latents()) - theirs).max() < 1e-6


def _loaded(models: Path, *, results: bool) -> SdAdapter:
    (models / "presets.toml").write_text(PRESET.format(results=str(results).lower()))
    adapter = Library(models).load("ours", "cpu")
    assert isinstance(adapter, SdAdapter)
    return adapter


@pytest.fixture
def models(tmp_path: Path) -> Path:
    sd_pipeline(9).save_pretrained(tmp_path / "ours")
    tiny_vae().save_pretrained(tmp_path / "small")
    return tmp_path


def test_a_preset_has_it_draw_previews_alone_or_results_too(models: Path) -> None:
    previews, both = _loaded(models, results=False), _loaded(models, results=True)
    drawn = TinyVae(tiny_vae(), 8).decode(_latents())
    for adapter in (previews, both):
        assert np.array_equal(adapter.preview(_latents()), np.rint(drawn * 255).astype(np.uint8))
        assert "tiny_vae" in {part.name for part in adapter.components()}
    assert np.array_equal(both.decode(_latents()), drawn)
    assert not np.allclose(previews.decode(_latents()), drawn, atol=0.1)
    picture, mask = photo(256, 256), mask_in(256, 256, Box(100, 100, 140, 130))
    after, source = edited(both, picture, mask, prompt="a tree", quality="draft")
    box = source.plan.result
    assert not np.array_equal(after, picture)
    after[box.y0 : box.y1, box.x0 : box.x1] = picture[box.y0 : box.y1, box.x0 : box.x1]
    assert np.array_equal(after, picture)


def test_one_that_is_not_there_damaged_or_of_other_latents_is_named(models: Path) -> None:
    tiny_vae(16).save_pretrained(models / "small")
    with pytest.raises(BadInput, match="16 channels") as refused:
        _loaded(models, results=False)
    assert refused.value.code == "wrong_component"
    (models / "small" / "config.json").unlink()
    with pytest.raises(NotFound, match="AutoencoderTiny") as missing:
        _loaded(models, results=False)
    assert missing.value.code == "incomplete_model"


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ('tiny_vae = "small"\nfamily = "z-image"', "only models of"),
        ('tiny_vae_results = true\nfamily = "sd"', "needs a"),
    ],
)
def test_a_preset_that_asks_for_what_cannot_be_is_refused_as_it_is_read(tmp_path: Path, line: str, why: str) -> None:
    (tmp_path / "presets.toml").write_text(f"[presets.ours]\n{line}\n")
    with pytest.raises(BadInput, match=why) as refused:
        Library(tmp_path)
    assert refused.value.code == "bad_presets"
