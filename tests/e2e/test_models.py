"""More than one model: a picker, remembered, and brought back by an edit's own settings (J1)."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import anyio
import pytest

from e2e.conftest import Invite
from nanobana.keyspace.claims import beat
from nanobana.keyspace.client import Client
from nanobana.keyspace.keys import FamilyKeys
from nanobana.protocol.parameters import ModelFacts
from support.desk import engine
from support.server_process import ServerProcess
from support.valkey import PrivateValkey, private_valkey

NANO = ModelFacts(name="nano", good_for="things and scenery", licence="Apache-2.0", seconds=0.4, loaded=True)
SDXL = ModelFacts(name="sdxl", good_for="photographs", licence="OpenRAIL++", seconds=4.2, takes=["negative"])


class Served:
    """A server of its own, and engines that say what they serve and take nothing."""

    def __init__(self, valkey: PrivateValkey, server: ServerProcess) -> None:
        self.origin = server.origin
        self._url = valkey.url

    def says(self, *models: ModelFacts) -> None:
        with ThreadPoolExecutor(1) as thread:  # this one runs the browser's event loop
            thread.submit(anyio.run, self._say, models).result()

    async def _say(self, models: tuple[ModelFacts, ...]) -> None:
        client = Client(self._url)
        await beat(client, FamilyKeys(), engine("w1", *models))
        await client.call(
            "ZADD", FamilyKeys().engine_ages, 9e15, "w1"
        )  # it is not to fall silent while this test looks
        await client.aclose()


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    with private_valkey(fsync="no") as valkey:
        server = ServerProcess(valkey.url, tmp_path / "server.log")
        try:
            server.start()
            yield Served(valkey, server)
        finally:
            server.kill()


def test_j1_the_page_offers_the_models_that_are_served_and_remembers_the_choice(invite: Invite, served: Served) -> None:
    served.says(NANO)
    ana = invite("Ana", origin=served.origin).start_with_sample()
    ana.mask_box((120, 120, 220, 220))
    ana.see("generate")
    assert ana.page.get_by_test_id("model-picker").count() == 0, "one model leaves nothing to choose"
    served.says(NANO, SDXL)
    ana.tap("model-picker")
    option = ana.page.locator("[data-testid=model-option][data-model=sdxl]")
    told = option.inner_text()
    for part in ("photographs", "about 4 s", "loads first", "OpenRAIL++"):
        assert part in told
    option.click()
    ana.tap("generate")
    ana.wait("nb.jobs.length === 1 && nb.unsaved === 0")
    assert ana.nb("jobs")[0]["model"] == "sdxl"
    ana.page.reload()
    ana.wait("nb.complete && nb.connection === 'live'")
    ana.mask_box((240, 120, 340, 220))
    assert "sdxl" in ana.see("model-picker").inner_text()
    served.says(NANO)
    ana.page.get_by_test_id("model-picker").wait_for(state="detached")


def test_j1_taking_over_all_of_an_edit_brings_its_model_back(invite: Invite, served: Served) -> None:
    served.says(NANO, SDXL)
    ana = invite("Ana", origin=served.origin).start_with_sample()
    ana.mask_box((120, 120, 220, 220))
    ana.tap("model-picker")
    ana.page.locator("[data-model=sdxl]").click()
    ana.tap("generate")
    ana.wait("nb.jobs.length === 1 && nb.unsaved === 0")
    ana.press("Shift+X").wait("nb.jobs[0].state === 'cancelled'")
    ana.mask_box((240, 120, 340, 220))
    ana.tap("model-picker")
    ana.page.locator("[data-model=nano]").click()
    ana.page.get_by_role("tab", name="Edits").click()
    ana.tap("reuse-all")
    ana.page.get_by_test_id("model-picker").filter(has_text="sdxl").wait_for()
