"""A real worker and a real results consumer in this process, on a store of the test's."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
from anyio import CapacityLimiter

from nanobana.keyspace.client import Client
from nanobana_engine.erase.eraser import Eraser
from nanobana_engine.language import Interpreter, Translator
from nanobana_engine.memory import Memory
from nanobana_engine.models.base import ModelAdapter
from nanobana_engine.models.shelf import Shelf
from nanobana_engine.worker.bridge import Bridge
from nanobana_engine.worker.canvas import CanvasReader
from nanobana_engine.worker.job import Tools
from nanobana_engine.worker.offer import Offer
from nanobana_engine.worker.prepare import Preparer
from nanobana_engine.worker.readying import Readying
from nanobana_engine.worker.settings import WorkerSettings
from nanobana_engine.worker.turnstile import Turnstile
from nanobana_engine.worker.worker import Worker
from nanobana_server import jobs
from nanobana_server.store import Store


@asynccontextmanager
async def working(
    store: Store, url: str, adapter: ModelAdapter, translator: Translator | None = None, models: Path | None = None
) -> AsyncIterator[Bridge]:
    """A worker of two slots; at the end it drains, and nothing may be left of what it did.

    Args:
        models: a folder with styles and LoRAs.
    """
    shelf = Shelf(models)
    client, threads, memory = Client(url), CapacityLimiter(2), Memory()
    settings = WorkerSettings(redis_url=url, at_once=2, at_most=8, lease_ms=60_000)
    bridge, turnstile, readying = Bridge(adapter, budget=4.0), Turnstile(2), Readying(1)
    bridge.engine.start()
    reader = CanvasReader(client, threads, memory.cache("tiles", 0.4))
    tools = Tools(
        client=client,
        worker=settings.worker,
        preparer=Preparer(client, reader, threads, adapter.preset, shelf, memory.cache("plans", 0.1)),
        bridge=bridge,
        eraser=Eraser(),
        interpreter=Interpreter(translator),
        offer=Offer(bridge.engine.residents, shelf),
        threads=threads,
        turnstile=turnstile,
        readying=readying,
        lease_ms=settings.lease_ms,
        beat_s=settings.beat_s,
    )
    worker = Worker(client, settings, tools, "cpu")
    async with anyio.create_task_group() as serving:
        serving.start_soon(jobs.run_results, store, "server")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(worker.run)
            yield bridge
            worker.draining.set()
        serving.cancel_scope.cancel()
    worker.integrity.prove()
    readying.close()
    bridge.engine.close(timeout=5)
    bridge.engine.integrity.prove()
    await client.aclose()
