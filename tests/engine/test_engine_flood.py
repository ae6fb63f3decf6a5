"""One user's flood beside another's edit, from the ticket on the stream to the result: counted in steps (E7)."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import anyio
import numpy as np
import pytest
import torch
from anyio import CapacityLimiter

from nanobana.keyspace.client import Client
from nanobana.protocol.canvas import OpId
from nanobana.protocol.geometry import Box
from nanobana.protocol.messages import Edit
from nanobana.protocol.parameters import EditParams
from nanobana.raster.codec import encode_png
from nanobana_engine.erase.eraser import Eraser
from nanobana_engine.memory import Memory
from nanobana_engine.models.base import Conditioning, Item, Request
from nanobana_engine.models.shelf import Shelf
from nanobana_engine.worker.bridge import Bridge
from nanobana_engine.worker.canvas import CanvasReader
from nanobana_engine.worker.facts import Facts
from nanobana_engine.worker.job import Tools
from nanobana_engine.worker.prepare import Preparer
from nanobana_engine.worker.settings import WorkerSettings
from nanobana_engine.worker.turnstile import Turnstile
from nanobana_engine.worker.worker import Worker
from nanobana_server import jobs
from nanobana_server.jobs.records import read_job
from nanobana_server.store import Store, open_store
from nanobana_server.store.ops import import_image
from nanobana_server.store.types import Author
from support.adapters import PixelAdapter
from support.edits import photo
from support.valkey import private_valkey

pytestmark = pytest.mark.anyio

SIDE = 320


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Gate(PixelAdapter):
    """Every edit costs one picture and shares the step's one call, which is made only when the test lets it."""

    def __init__(self) -> None:
        super().__init__()
        self.open = threading.Semaphore(0)
        self.steps: list[list[str]] = []
        """Who takes part in each step that has begun."""

    def condition(self, request: Request) -> Conditioning:
        latents = self.encode(request.pixels)
        latents.who = request.prompt  # type: ignore[attr-defined]
        return latents

    def cost(self, item: Item) -> float:
        del item
        return 1.0

    def call_key(self, item: Item) -> tuple[object, ...]:
        del item
        return ()

    def denoise(self, items: Sequence[Item]) -> list[torch.Tensor]:
        self.steps.append([item.conditioning.who for item in items])
        self.open.acquire()
        return super().denoise(items)


async def until(holds: Callable[[], bool]) -> None:
    with anyio.fail_after(10):
        while not holds():  # noqa: ASYNC110 - the model thread rings no bell
            await anyio.sleep(0.005)


@asynccontextmanager
async def working(store: Store, url: str, gate: Gate) -> AsyncIterator[Bridge]:
    """A worker of two slots in this process; at the end it drains, and nothing may be left of what it did."""
    client, threads, memory = Client(url), CapacityLimiter(2), Memory()
    settings = WorkerSettings(redis_url=url, at_once=2, at_most=8, lease_ms=60_000)
    bridge, turnstile = Bridge(gate, budget=4.0), Turnstile(2)
    bridge.engine.start()
    tools = Tools(
        client=client,
        worker=settings.worker,
        preparer=Preparer(
            client,
            CanvasReader(client, threads, memory.cache("tiles", 0.4)),
            threads,
            gate.preset,
            Shelf(),
            memory.cache("plans", 0.1),
        ),
        bridge=bridge,
        eraser=Eraser(),
        threads=threads,
        turnstile=turnstile,
        lease_ms=settings.lease_ms,
        beat_s=settings.beat_s,
    )
    worker = Worker(client, settings, tools, Facts(gate.preset, Shelf(), None), "cpu")
    async with anyio.create_task_group() as serving:
        serving.start_soon(jobs.run_results, store, "server")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(worker.run)
            yield bridge
            gate.open.release(10_000)
            worker.draining.set()
        serving.cancel_scope.cancel()
    worker.integrity.prove()
    bridge.engine.close(timeout=5)
    bridge.engine.integrity.prove()
    await client.aclose()


async def put(store: Store, user: str, n: int, box: Box) -> str:
    mask = encode_png(np.full((box.height, box.width), 255, np.uint8))
    edit = EditParams(box=box, mask_png=mask, prompt=user, seed=n)
    await jobs.submit(store, "c", Author(user=user), Edit(op=OpId(user, n), edit=edit))
    return f"{user}-{n}"


async def test_e7_a_flood_delays_another_users_edit_by_one_step_from_ticket_to_result() -> None:
    gate = Gate()
    with private_valkey(fsync="no") as valkey:
        store = await open_store(valkey.url)
        await store.create_canvas("c")
        await import_image(store, "c", "ana", OpId("ana", 1), encode_png(photo(SIDE, SIDE)), layer="photo")
        async with working(store, valkey.url, gate) as bridge:
            for n in range(12):
                await put(store, "ana", n + 2, Box(n * 24, 0, n * 24 + 16, 16))
            gate.open.release(5)
            await until(lambda: len(gate.steps) == 6)  # the sixth is held in the middle; both slots are ana's
            ben = await put(store, "ben", 1, Box(100, 100, 140, 140))
            await until(lambda: ben in bridge)
            for _ in range(4):
                gate.open.release()
            await until(lambda: len(gate.steps) == 10)
            gate.open.release()
            await until(lambda: ben not in bridge)
        assert "ben" not in gate.steps[5]
        assert all({"ana", "ben"} == set(each) for each in gate.steps[6:10]), "in every step from the very next one on"
        assert (await read_job(store, "c", ben)).state == "staged"
        await store.aclose()
