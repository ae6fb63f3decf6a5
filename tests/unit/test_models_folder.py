"""A model folder that cannot be run is refused by its files, each fault with its own sentence."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from nanobana.protocol.errors import NanobanaError, NotFound
from nanobana_engine.models.folder import check, variant_of
from nanobana_engine.models.preset import Family
from nanobana_engine.models.registry import Library

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
FAMILY = Family(
    name="f", adapter="m:A", pipelines=("APipeline",), components={"unet": ("UNet",), "vae": (), "tokenizer": ()}
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A whole model of the family."""
    index = {"_class_name": "APipeline", "unet": ["diffusers", "UNet"], "vae": ["diffusers", "Vae"]}
    (tmp_path / "model_index.json").write_text(json.dumps(index))
    (tmp_path / "tokenizer").mkdir()
    (tmp_path / "tokenizer" / "vocab.json").write_text("{}")
    for name in ("unet", "vae"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text("{}")
        save_file({"w": np.zeros(64, np.float32)}, tmp_path / name / "model.safetensors")
    return tmp_path


def _remove_part(folder: Path) -> None:
    (folder / "vae").rename(folder / "elsewhere")


def _remove_weights(folder: Path) -> None:
    (folder / "unet" / "model.safetensors").unlink()


def _pickled(folder: Path) -> None:
    (folder / "unet" / "model.safetensors").rename(folder / "unet" / "model.bin")


def _cut(folder: Path) -> None:
    path = folder / "unet" / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-10])


def _garbage(folder: Path) -> None:
    (folder / "unet" / "model.safetensors").write_bytes(b"\x10\0\0\0\0\0\0\0" + b"no json at all..")


def _shard(folder: Path) -> None:
    (folder / "unet" / "model.safetensors.index.json").write_text('{"weight_map": {"w": "model-00002.safetensors"}}')


def _other(folder: Path) -> None:
    (folder / "unet" / "config.json").write_text('{"_class_name": "Transformer"}')


def _no_index(folder: Path) -> None:
    (folder / "model_index.json").unlink()


def test_a_whole_folder_passes(folder: Path) -> None:
    check(folder, FAMILY)


@pytest.mark.parametrize(
    ("spoil", "code", "said"),
    [
        (_no_index, "unknown_model", "model_index.json"),
        (_remove_part, "incomplete_model", "lacks vae"),
        (_remove_weights, "incomplete_model", "the weights of unet"),
        (_pickled, "incomplete_model", "safetensors"),
        (_cut, "incomplete_model", "unet/model.safetensors"),
        (_garbage, "incomplete_model", "damaged"),
        (_shard, "incomplete_model", "unet/model-00002.safetensors"),
        (_other, "wrong_component", "its unet is a Transformer"),
    ],
)
def test_each_fault_of_a_folder_has_its_own_error(
    folder: Path, spoil: Callable[[Path], None], code: str, said: str
) -> None:
    spoil(folder)
    with pytest.raises(NanobanaError, match=said) as refused:
        check(folder, FAMILY)
    assert refused.value.code == code


def test_the_variant_of_the_files_is_the_wanted_one_or_the_one_that_is_there(folder: Path) -> None:
    assert variant_of(folder, "fp16") is None
    for name in ("unet", "vae"):
        plain = folder / name / "model.safetensors"
        plain.rename(folder / name / "model.fp16.safetensors")
    assert variant_of(folder, None) == "fp16"
    assert variant_of(folder, "fp16") == "fp16"


def test_a_folder_with_another_pipeline_names_it(tmp_path: Path) -> None:
    (tmp_path / "model_index.json").write_text('{"_class_name": "SomethingElsePipeline"}')
    with pytest.raises(NotFound, match="SomethingElsePipeline, for which diffusers has no inpainting") as refused:
        Library().load(str(tmp_path), "cpu")
    assert refused.value.code == "unknown_model"


def test_a_single_file_is_told_to_be_none(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"")
    with pytest.raises(NotFound, match="single file"):
        Library().choose(str(path))
