"""Recordings of canvases: made while something is done, and replayed in a store of their own."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

import anyio
from anyio import to_thread

from nanobana_server.recorder.flight import Writer
from nanobana_server.recorder.record import Recorder
from nanobana_server.recorder.replay import Report, replay
from nanobana_server.store import Store, open_store
from support.valkey import PrivateValkey


async def replayed(valkey: PrivateValkey, path: Path) -> Report:
    store = await open_store(valkey.url)
    try:
        return await replay(store, path)
    finally:
        await store.aclose()


async def recorded(store: Store, canvas: str, path: Path, work: Callable[[], Awaitable[None]]) -> None:
    """Record while something is done."""
    file = await to_thread.run_sync(path.open, "xb")
    stop = anyio.Event()
    try:
        async with anyio.create_task_group() as tasks:
            recorder = Recorder(store, canvas, Writer(file), stop)
            tasks.start_soon(recorder.run)
            await recorder.begun.wait()
            await work()
            stop.set()
    finally:
        await to_thread.run_sync(file.close)
