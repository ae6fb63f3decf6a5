"""Whatever restless people do, a recording of it replays to the same canvas (C11)."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest

from nanobana_server.store import open_store
from support.flights import recorded, replayed
from support.live_server import FREE, live_server
from support.restless import SIDE, Restless
from support.valkey import private_valkey


@pytest.mark.timeout(180)
async def test_c11_whatever_people_do_replays_to_the_same_canvas(tmp_path: Path) -> None:
    path = tmp_path / "lively.flight"
    with private_valkey(fsync="no") as here, private_valkey(fsync="no") as elsewhere:
        async with live_server(here.url, allowance=FREE) as server:
            links = await server.new_canvas(SIDE, SIDE)
            people = [Restless(f"r{n}", [links.edit], 5, steps=25) for n in range(3)]

            async def work() -> None:
                async with anyio.create_task_group() as tasks:
                    for person in people:
                        tasks.start_soon(person.run, lambda _: True)

            watcher = Restless("watcher", [links.view], 5, steps=0)
            store = await open_store(here.url)
            async with anyio.create_task_group() as watching:
                watching.start_soon(watcher.run, lambda _: False)
                while not watcher.is_loaded:  # noqa: ASYNC110 - the canvas must be open: its server tells from the first op on
                    await anyio.sleep(0.01)
                await recorded(store, links.edit.canvas, path, work)
                watching.cancel_scope.cancel()
            await store.aclose()
        report = await replayed(elsewhere, path)
    assert (report.difference, report.is_whole) == ("", True)
    assert report.ops > 10
