"""More than one model: a picker, remembered, and brought back by an edit's own settings (J1)."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import anyio
import msgspec
import pytest
from playwright.sync_api import expect

from e2e.conftest import Invite
from nanobana.keyspace.claims import beat
from nanobana.keyspace.client import Client
from nanobana.keyspace.keys import FamilyKeys
from nanobana.protocol.errors import Unavailable
from nanobana.protocol.parameters import ModelFacts
from support.desk import engine
from support.server_process import ServerProcess
from support.valkey import PrivateValkey, private_valkey

NANO = ModelFacts(name="nano", good_for="things and scenery", licence="Apache-2.0", seconds=0.4, loaded=True)
SDXL = ModelFacts(name="sdxl", good_for="photographs", licence="OpenRAIL++", seconds=4.2, takes=["negative"])


class Served:
    """A server of its own, and an engine that says what it serves, again and again, and takes nothing."""

    def __init__(self, valkey: PrivateValkey, server: ServerProcess) -> None:
        self.origin = server.origin
        self._url = valkey.url
        self._models: tuple[ModelFacts, ...] = ()
        self._over = threading.Event()
        self._thread = threading.Thread(target=anyio.run, args=(self._go_on,))

    def says(self, *models: ModelFacts) -> None:
        self._models = models
        if not self._thread.is_alive():
            self._thread.start()

    def end(self) -> None:
        self._over.set()
        if self._thread.is_alive():
            self._thread.join()

    async def _go_on(self) -> None:
        client = Client(self._url)
        try:
            while not self._over.is_set():
                with suppress(Unavailable):  # a machine so busy that the store is slow to answer
                    await beat(client, FamilyKeys(), engine("w1", *self._models))
                await anyio.sleep(0.2)
        finally:
            await client.aclose()


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    with private_valkey(fsync="no") as valkey:
        server = ServerProcess(valkey.url, tmp_path / "server.log")
        served = Served(valkey, server)
        try:
            server.start()
            yield served
        finally:
            served.end()
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
    for part in ("photographs", "about 4 s", "loads first", "OpenRAIL++"):
        expect(option).to_contain_text(part)
    option.click()
    ana.tap("generate")
    ana.wait("nb.jobs.length === 1 && nb.unsaved === 0")
    assert ana.nb("jobs")[0]["model"] == "sdxl"
    ana.page.reload()
    ana.wait("nb.complete && nb.connection === 'live'")
    ana.mask_box((240, 120, 340, 220))
    expect(ana.see("model-picker")).to_contain_text("sdxl")
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
    ana.tap("tab-history")
    ana.tap("reuse-all")
    ana.page.get_by_test_id("model-picker").filter(has_text="sdxl").wait_for()


def test_behaviour_20_alt_and_arrows_walk_earlier_prompts_and_ctrl_and_arrows_weigh_a_word(
    invite: Invite, served: Served
) -> None:
    served.says(msgspec.structs.replace(SDXL, takes=["weights"]))
    ana = invite("Ana", origin=served.origin).start_with_sample()
    prompt = ana.page.get_by_test_id("prompt")
    for x, words in ((120, "a red fox"), (240, "a golden dog"), (360, "")):
        ana.mask_box((x, 120, x + 100, 220))
        prompt.fill(words)
        if words:
            expect(ana.page.get_by_test_id("generate")).to_be_enabled()
            prompt.press("Enter")
            ana.wait(f"nb.jobs.some((job) => job.prompt === '{words}')")
    for keys, words in (
        ("Alt+ArrowUp", "a golden dog"), ("Alt+ArrowUp", "a red fox"), ("Alt+ArrowDown", "a golden dog"),
        ("Control+ArrowUp", "a golden (dog:1.1)"), ("Control+ArrowUp", "a golden (dog:1.2)"),
        ("Control+ArrowDown", "a golden (dog:1.1)"), ("Control+ArrowDown", "a golden dog"),
    ):  # fmt: skip
        prompt.press(keys)
        expect(prompt).to_have_value(words)
