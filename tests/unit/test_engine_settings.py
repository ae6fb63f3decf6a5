"""What an engine is told, and how it says that it cannot be done."""

from pathlib import Path

import pytest

from nanobana.protocol.errors import BadInput, NotFound
from nanobana_engine.models.registry import load
from nanobana_engine.worker.settings import read


def test_the_environment_names_store_model_and_parent() -> None:
    settings = read({"NANOBANA_REDIS_URL": "unix:///s", "NANOBANA_MODEL": "nano", "NANOBANA_PARENT": "12"})
    assert (settings.redis_url, settings.model, settings.parent) == ("unix:///s", "nano", 12)
    assert len(settings.worker.encode()) <= 16


def test_e10_budgets_are_read_in_words() -> None:
    told = {"NANOBANA_REDIS_URL": "unix:///s", "NANOBANA_MEMORY_BUDGET": "6g", "NANOBANA_CACHE_BUDGET": "0"}
    settings = read(told)
    assert (settings.memory_bytes, settings.cache_bytes) == (6 << 30, 0)
    with pytest.raises(BadInput, match="NANOBANA_CACHE_BUDGET"):
        read({**told, "NANOBANA_CACHE_BUDGET": "plenty"})


def test_without_a_store_it_says_what_to_set() -> None:
    with pytest.raises(BadInput, match="NANOBANA_REDIS_URL"):
        read({})


def test_an_unknown_model_is_refused_with_what_there_is() -> None:
    with pytest.raises(NotFound, match="Built in: nano") as refused:
        load("sdxl-that-is-not-here")
    assert refused.value.code == "unknown_model"


def test_a_folder_without_a_model_says_which_file_is_missing(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="model_index"):
        load(str(tmp_path))


def test_a_folder_with_another_pipeline_names_it(tmp_path: Path) -> None:
    (tmp_path / "model_index.json").write_text('{"_class_name": "StableDiffusionInpaintPipeline"}')
    with pytest.raises(NotFound, match="StableDiffusionInpaintPipeline"):
        load(str(tmp_path))
