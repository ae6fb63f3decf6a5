"""kill -9 of each part while two people paint: both browsers come back and nothing is lost (C10, R5, J2)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from e2e.person import ENGINE_MS, Person, same_canvas
from support.product import Product, running_product

INK = (228, 87, 46, 255)
BACK_MS = 120_000
"""For a part that is started again, and the page that tries again less and less often."""

pytestmark = [pytest.mark.faults, pytest.mark.timeout(600)]


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Product]:
    """A product of its own: others must not feel the kills."""
    with running_product(tmp_path / "data") as product:
        yield product


def test_c10_painting_survives_kill_9_of_server_and_store_and_an_edit_that_of_the_engine(
    own: Product, chromium: Browser
) -> None:
    first, second = chromium.new_context(), chromium.new_context()
    ana = Person("Ana", first, own.origin).start_with_sample()
    ben = Person("Ben", second, own.origin).open(ana.link("edit"))

    ana.press("p").drag((60, 60), (300, 60)).drag((60, 90), (300, 90))
    own.part("cli server").kill()
    ana.drag((60, 120), (300, 120))
    ana.wait("nb.connection === 'live' && nb.unsaved === 0 && nb.pending === 0", BACK_MS)
    own.part("valkey-server").kill()
    ana.drag((60, 150), (300, 150))
    ana.wait("nb.connection === 'live' && nb.unsaved === 0 && nb.pending === 0", BACK_MS)
    ben.wait(f"nb.connection === 'live' && nb.position[1] >= {ana.seq}", BACK_MS)
    assert same_canvas(ana, ben)
    picture = ana.picture()
    assert [picture.getpixel((150, y)) for y in (60, 90, 120, 150)] == [INK] * 4

    ana.mask_box((300, 200, 420, 320))
    ana.tap("generate")
    ben.see("job-label")
    own.part("cli engine").kill()
    for person in (ana, ben):
        person.wait("nb.jobs.length === 1 && nb.jobs[0].state === 'staged'", ENGINE_MS)
    assert ana.errors == ben.errors == []
    first.close()
    second.close()
