"""What holds for the whole suite: quick tests first, browser tests last; the same generated examples in every run.

Playwright's synchronous API keeps an event loop running in the main thread until the session ends; no asynchronous test
can run in the same process after it has begun.

A change is judged by the examples that its parent was judged by; new ones are drawn by `make soak` (profile "default").
"""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile("repeatable", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("repeatable")

ORDER = ("unit", "wheel", "contract", "server", "engine", "flow", "faults", "soak", "e2e")
"""Folders from quick and fundamental to slow; one that is not named comes before the browser tests."""


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent

    def place(item: pytest.Item) -> int:
        folder = item.path.relative_to(here).parts[0] if here in item.path.parents else ""
        return ORDER.index(folder) if folder in ORDER else len(ORDER) - 2

    items.sort(key=place)
