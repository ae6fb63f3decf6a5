"""A prompt in another language, from the ticket to the job that everybody sees."""

from __future__ import annotations

import threading

import anyio
import numpy as np
import pytest
from anyio import to_thread

from nanobana.protocol.canvas import TERMINAL, Job, OpId
from nanobana.protocol.geometry import Box
from nanobana.protocol.messages import Cancel, Edit
from nanobana.protocol.parameters import EditParams
from nanobana.raster.codec import encode_png
from nanobana_engine.models.base import Conditioning, Request
from nanobana_server import jobs
from nanobana_server.jobs.records import read_job
from nanobana_server.store import Store, open_store
from nanobana_server.store.ops import import_image
from nanobana_server.store.types import Author
from support.adapters import PixelAdapter, preset
from support.edits import photo
from support.languages import Shouting
from support.valkey import private_valkey
from support.worker import working

pytestmark = pytest.mark.anyio
ANA = Author(user="ana")
GERMAN = "ein roter Apfel auf dem Tisch"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Listening(PixelAdapter):
    """A model of English that remembers what it was asked for."""

    def __init__(self) -> None:
        super().__init__(preset(name="m", languages=("en",)))
        self.asked: list[str] = []

    def condition(self, request: Request) -> Conditioning:
        self.asked.append(request.prompt)
        return super().condition(request)


class Stuck(Shouting):
    """Translates when the test lets it."""

    def __init__(self) -> None:
        super().__init__()
        self.begun, self.open = threading.Event(), threading.Event()

    def translate(self, text: str, language: str, target: str) -> str:
        self.begun.set()
        self.open.wait(20)
        return super().translate(text, language, target)


async def _submit(store: Store, prompt: str, n: int) -> None:
    mask = encode_png(np.full((40, 40), 255, np.uint8))
    edit = EditParams(box=Box(60, 60, 100, 100), mask_png=mask, prompt=prompt)
    await jobs.submit(store, "c", ANA, Edit(op=OpId("ana", n), edit=edit))


async def _ended(store: Store, prompt: str, n: int) -> Job:
    """Submit an edit and wait for its result."""
    await _submit(store, prompt, n)
    with anyio.fail_after(10):
        while (job := (await read_job(store, "c", f"ana-{n}")).job).state not in {"staged", *TERMINAL}:  # noqa: ASYNC110 - the record has no bell
            await anyio.sleep(0.01)
    return job


async def test_j2_a_translated_prompt_is_shown_beside_the_original_and_a_failure_says_what_to_do() -> None:
    adapter = Listening()
    with private_valkey(fsync="no") as valkey:
        store = await open_store(valkey.url)
        await store.create_canvas("c")
        await import_image(store, "c", "ana", OpId("ana", 1), encode_png(photo(200, 200)), layer="photo")
        async with working(store, valkey.url, adapter, Shouting()):
            told = await _ended(store, GERMAN, 2)
            plain = await _ended(store, "a red apple on the table", 3)
            broken = await _ended(store, "ein kaputter Apfel auf dem Tisch", 4)
            unread = await _ended(store, "une pomme rouge sur la table", 5)
        await store.aclose()
    assert (told.state, told.prompt, told.understood, told.notice) == ("staged", GERMAN, GERMAN.upper(), "")
    assert (plain.state, plain.understood, plain.notice) == ("staged", "", "")
    assert (broken.state, broken.error_code) == ("failed", "translation_failed")
    assert (unread.state, unread.understood) == ("staged", "")
    assert "French" in unread.notice
    assert adapter.asked == [GERMAN.upper(), plain.prompt, unread.prompt]


async def test_e8_a_cancelled_edit_does_not_wait_for_its_translation() -> None:
    stuck = Stuck()
    with private_valkey(fsync="no") as valkey:
        store = await open_store(valkey.url)
        await store.create_canvas("c")
        await import_image(store, "c", "ana", OpId("ana", 1), encode_png(photo(200, 200)), layer="photo")
        try:
            async with working(store, valkey.url, Listening(), stuck):
                await _submit(store, GERMAN, 2)
                assert await to_thread.run_sync(stuck.begun.wait, 10)
                await jobs.cancel(store, "c", ANA, Cancel(op=OpId("ana", 3), job="ana-2"))
            assert not stuck.open.is_set(), "the worker drained while the translator stands"
        finally:
            stuck.open.set()
        assert (await read_job(store, "c", "ana-2")).state == "cancelled"
        await store.aclose()
