"""What an engine is told, and how it says that it cannot be done."""

import pytest

from nanobana.protocol.errors import BadInput
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
