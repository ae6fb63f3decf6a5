"""What an engine does before it is asked: for the newest mask, only while nobody waits, within bounds (E9)."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial

import anyio
import numpy as np
import pytest
from anyio import CapacityLimiter

from nanobana.keyspace.client import Client
from nanobana.keyspace.keys import FamilyKeys
from nanobana.protocol.canvas import OpId
from nanobana.protocol.geometry import Box
from nanobana.protocol.jobs import Hint, Opened
from nanobana.raster.codec import blob_name, encode_png
from nanobana_engine.engine.source import Source
from nanobana_engine.memory import Memory
from nanobana_engine.memory.flights import GoesOn
from nanobana_engine.models.shelf import Shelf
from nanobana_engine.worker import ahead as aheads
from nanobana_engine.worker.ahead import Ahead, Region
from nanobana_engine.worker.canvas import CanvasReader
from nanobana_engine.worker.niceness import NICER
from nanobana_engine.worker.prepare import Preparer
from nanobana_server import jobs
from nanobana_server.store import Store, open_store, ops
from support.adapters import preset
from support.edits import photo
from support.valkey import private_valkey

pytestmark = pytest.mark.anyio

BOX = Box(40, 40, 90, 90)
ELSEWHERE = Region("c", "0" * 32)


def _niceness() -> int:
    return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())


USUAL, MOST_NICE = _niceness(), 19


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def store() -> AsyncIterator[Store]:
    with private_valkey(fsync="no") as valkey:
        store = await open_store(valkey.url)
        await store.create_canvas("c")
        await ops.import_image(store, "c", "ana", OpId("ana", 1), encode_png(photo(300, 300)), layer="photo")
        yield store
        await store.aclose()


def hint(user: str = "ana", box: Box = BOX, canvas: str = "c") -> Hint:
    return Hint(canvas=canvas, user=user, box=box, mask_png=encode_png(np.full((box.height, box.width), 255, np.uint8)))


@dataclass
class Model:
    """Prepares as slowly as the test wants; notes for what, and what it gave up."""

    begun: list[str] = field(default_factory=list)
    whole: list[str] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)
    expected: list[str] = field(default_factory=list)
    may_end: threading.Event = field(default_factory=threading.Event)
    slow: str = ""
    """The user whose masks take it long."""
    niceness: dict[str, int] = field(default_factory=dict)
    """By user, of the thread that prepares, above the usual one."""

    def is_brief(self, source: Source) -> bool:
        return source.user != self.slow

    def prepare(self, source: Source, goes_on: GoesOn) -> None:
        self.niceness[source.user] = _niceness() - USUAL
        self.begun.append(source.user)
        while goes_on() and not self.may_end.wait(0.002):
            pass
        (self.whole if goes_on() else self.dropped).append(source.user)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@asynccontextmanager
async def idle_engine(store: Store, model: Model, clock: Clock | None = None) -> AsyncIterator[Ahead]:
    threads, memory = CapacityLimiter(2), Memory()
    client = Client(store.client.url)
    reader = CanvasReader(client, threads, memory.cache("tiles", 0.4))
    preparer = Preparer(client, reader, threads, preset(), Shelf(), memory.cache("plans", 0.1))
    calls = (model.prepare, model.is_brief, model.expected.append)
    ahead = Ahead(client, FamilyKeys(), preparer, *calls, clock or Clock())
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ahead.run)
        yield ahead
        model.may_end.set()
        tasks.cancel_scope.cancel()
    await client.aclose()


async def until(holds: Callable[[], bool]) -> None:
    with anyio.fail_after(10):
        while not holds():  # noqa: ASYNC110 - another thread does not ring
            await anyio.sleep(0.002)


async def test_e9_an_idle_engine_prepares_for_a_mask_that_the_server_tells_of(store: Store) -> None:
    model = Model()
    model.may_end.set()
    async with idle_engine(store, model):
        while not model.whole:  # a hint that nobody hears is lost; the subscription may not stand yet
            await jobs.foretell(store, hint())
            await anyio.sleep(0.01)
    assert set(model.whole) == {"ana"}


async def test_e10_an_idle_engine_expects_the_model_of_a_canvas_that_is_opened(store: Store) -> None:
    model = Model()
    async with idle_engine(store, model) as ahead:
        while not model.expected:  # a hint that nobody hears is lost; the subscription may not stand yet
            await jobs.foretell(store, Opened(canvas="c"))
            await anyio.sleep(0.01)
        heard = len(model.expected)
        ahead.hear(Opened(canvas="c", model="not here"))
        with ahead.busy(ELSEWHERE):
            ahead.hear(Opened(canvas="c"))
        assert model.expected == [""] * heard


@pytest.mark.skipif(sys.platform != "linux", reason="a thread has a niceness of its own on Linux only")
async def test_e9_only_what_takes_long_stands_back_for_everybody_else(store: Store) -> None:
    model = Model(slow="ana")
    model.may_end.set()
    async with idle_engine(store, model) as ahead:
        for user in ("ana", "ben"):
            ahead.hear(hint(user))
            await until(partial(model.whole.__contains__, user))
    assert model.niceness == {"ana": min(NICER, MOST_NICE - USUAL), "ben": 0}


async def test_e9_nothing_is_prepared_while_a_job_is_in_hand(store: Store) -> None:
    model = Model()
    model.may_end.set()
    async with idle_engine(store, model) as ahead:
        with ahead.busy(ELSEWHERE):
            ahead.hear(hint())
            await anyio.wait_all_tasks_blocked()
            assert model.begun == []
        await until(lambda: model.whole == ["ana"])
        assert len(ahead) == 0


async def test_e9_preparing_is_dropped_when_a_job_comes_and_begun_again_after_it(store: Store) -> None:
    model = Model()
    async with idle_engine(store, model) as ahead:
        ahead.hear(hint())
        await until(lambda: model.begun == ["ana"])
        with ahead.busy(ELSEWHERE):
            await until(lambda: model.dropped == ["ana"])
        model.may_end.set()
        await until(lambda: model.whole == ["ana"])


async def test_e9_the_edit_of_the_very_region_does_not_stop_what_it_waits_for(store: Store) -> None:
    model = Model()
    async with idle_engine(store, model) as ahead:
        ahead.hear(hint())
        await until(lambda: model.begun == ["ana"])
        with ahead.busy(Region("c", blob_name(hint().mask_png))):
            model.may_end.set()
            await until(lambda: model.whole == ["ana"])
        assert model.dropped == []


async def test_e9_an_edit_that_came_needs_its_hint_no_more(store: Store) -> None:
    model = Model()
    async with idle_engine(store, model) as ahead:
        with ahead.busy(ELSEWHERE):
            ahead.hear(hint())
            with ahead.busy(Region("c", blob_name(hint().mask_png))):
                assert len(ahead) == 0


async def test_e9_only_the_newest_mask_of_each_user_is_prepared_for_the_newest_first(store: Store) -> None:
    model = Model()
    model.may_end.set()
    async with idle_engine(store, model) as ahead:
        with ahead.busy(ELSEWHERE):
            for user, side in (("ana", 20), ("ben", 30), ("ana", 40)):
                ahead.hear(hint(user, Box(10, 10, 10 + side, 10 + side)))
            assert len(ahead) == 2
        await until(lambda: model.whole == ["ana", "ben"])


async def test_e9_hints_are_bounded_and_forgotten_when_they_are_old(store: Store) -> None:
    model, clock = Model(), Clock()
    model.may_end.set()
    async with idle_engine(store, model, clock) as ahead:
        with ahead.busy(ELSEWHERE):
            for number in range(aheads.MOST_HINTS + 5):
                ahead.hear(hint(f"user {number}"))
            ahead.hear(hint("giant", Box(0, 0, 3000, 3000)))
            assert len(ahead) == aheads.MOST_HINTS
            clock.now = aheads.STALE_S + 1
        await until(lambda: len(ahead) == 0)
    assert model.begun == []


@pytest.mark.parametrize(
    "wrong",
    [
        hint(canvas="nowhere"),
        Hint(canvas="c", user="eve", box=BOX, mask_png=b"\x89PNG no"),
        hint("eve", Box(5000, 5000, 5010, 5010)),
    ],
    ids=["no canvas", "no mask", "outside"],
)
async def test_r10_a_wrong_hint_harms_nobody(store: Store, wrong: Hint) -> None:
    model = Model()
    model.may_end.set()
    async with idle_engine(store, model) as ahead:
        ahead.hear(wrong)
        await until(lambda: len(ahead) == 0)
        ahead.hear(hint())
        await until(lambda: model.whole == ["ana"])
    assert model.begun == ["ana"]
