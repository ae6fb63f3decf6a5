"""One running product for all tests of a module."""

from collections.abc import Iterator

import pytest

from support.product import Product, running_product


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    with running_product(tmp_path_factory.mktemp("flow") / "data") as running:
        yield running
