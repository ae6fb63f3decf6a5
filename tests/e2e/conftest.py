"""One real product and one Chromium for all browser tests; each test gets fresh people and a fresh canvas."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from e2e.person import PATIENCE_MS, Person
from support.product import Product, running_product

ARGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip

LONGEST_S = 400
"""For one test: all is waited for by states, so that only what hangs comes near it."""

Invite = Callable[..., Person]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.e2e)
            if item.get_closest_marker("timeout") is None:
                item.add_marker(pytest.mark.timeout(LONGEST_S))


@pytest.fixture(scope="session")
def product(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    """`nanobana serve` with its engine, shared by the tests: canvases keep them apart."""
    with running_product(tmp_path_factory.mktemp("nanobana") / "data") as product:
        yield product


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    path = os.environ.get("NANOBANA_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("no Chromium here: apt-get install chromium")
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ARGS)
        yield browser
        browser.close()


@pytest.fixture
def invite(product: Product, chromium: Browser) -> Iterator[Invite]:
    """Make a person with a browser of their own: `invite("Ana", link=None, **context options)`.

    At the end nobody's page may have had an error of its own.
    """
    with ExitStack() as stack:
        people: list[Person] = []

        def one(name: str, link: str | None = None, origin: str | None = None, **options: Any) -> Person:
            is_new = options.pop("is_new", False)
            context = chromium.new_context(viewport=options.pop("viewport", {"width": 1100, "height": 760}), **options)
            stack.callback(context.close)
            person = Person(name, context, origin or product.origin, is_new=is_new)
            people.append(person)
            if link is not None:
                person.open(link)
            return person

        yield one
        for person in people:
            assert person.errors == [], f"{person.name}'s page had errors"
