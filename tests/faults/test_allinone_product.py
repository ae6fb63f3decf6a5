"""The whole product, real server and real engine, when it is stopped and when its parent is killed (J4)."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from support.allinone import gone
from support.product import Product, running_product

pytestmark = [pytest.mark.faults, pytest.mark.timeout(180)]


@pytest.fixture
def product(tmp_path: Path) -> Iterator[Product]:
    with running_product(tmp_path / "data") as running:
        yield running


def everything(product: Product) -> list[psutil.Process]:
    """The supervisor's descendants, helpers of server and engine included."""
    assert product.process is not None
    return psutil.Process(product.process.pid).children(recursive=True)


def test_j4_killing_the_parent_leaves_nothing_of_the_product(product: Product) -> None:
    running = everything(product)
    assert len(running) >= 3

    assert product.process is not None
    product.process.send_signal(signal.SIGKILL)

    assert gone(running)


def test_j4_ctrl_c_ends_every_part_of_the_product_cleanly(product: Product) -> None:
    running = everything(product)

    assert product.stop() == 0

    assert gone(running)
    assert "stopped, but" not in product.log.read_text()
