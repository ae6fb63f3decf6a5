"""An engine is seen while its model downloads and loads, and takes work only then (J4)."""

from __future__ import annotations

import threading
from collections.abc import Callable

import anyio
import pytest

from nanobana.keyspace.claims import engines
from nanobana.keyspace.client import Client
from nanobana.keyspace.keys import FamilyKeys
from nanobana.protocol.errors import NotFound
from nanobana.protocol.jobs import EngineBeat
from nanobana_engine.models.base import ModelAdapter
from nanobana_engine.worker.main import serve
from nanobana_engine.worker.settings import WorkerSettings
from support.adapters import PaintAdapter, preset
from support.valkey import private_valkey

pytestmark = pytest.mark.anyio
Tell = Callable[[int, int], None]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def _seen(client: Client, holds: Callable[[list[EngineBeat]], bool]) -> list[EngineBeat]:
    """The engines, once they are so."""
    with anyio.fail_after(15):
        while not holds(found := await engines(client, FamilyKeys())):  # noqa: ASYNC110 - beats ring no bell
            await anyio.sleep(0.02)
    return found


async def test_j4_an_engine_says_how_far_its_download_is_and_then_what_its_model_takes() -> None:
    here, may_go_on = threading.Event(), threading.Event()

    def load(_: WorkerSettings, tell: Tell) -> ModelAdapter:
        tell(2_400_000_000, 6_000_000_000)
        here.set()
        may_go_on.wait(15)
        tell(6_000_000_000, 6_000_000_000)
        return PaintAdapter((0.9, 0.1, 0.1), preset(takes=frozenset({"steps"})))

    with private_valkey(fsync="no") as valkey:
        client = Client(valkey.url)
        settings = WorkerSettings(redis_url=valkey.url, model="/somewhere/ours", beat_s=0.05)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(serve, settings, load)
            waiting = (await _seen(client, lambda found: bool(found and "GB" in found[0].loading)))[0]
            may_go_on.set()
            ready = (await _seen(client, lambda found: bool(found and not found[0].loading)))[0]
            tasks.cancel_scope.cancel()
        await client.aclose()
    assert waiting.loading == "downloading ours: 2.4 of 6.0 GB, 40 %"
    assert waiting.models == []
    assert (ready.model, ready.models[0].takes) == ("test", ["steps"])


async def test_j4_an_engine_whose_model_cannot_be_loaded_is_not_waited_for() -> None:
    def load(_: WorkerSettings, __: Tell) -> ModelAdapter:
        raise NotFound("There is no model.", code="unknown_model")

    with private_valkey(fsync="no") as valkey:
        client = Client(valkey.url)
        with pytest.raises(BaseExceptionGroup) as ended:
            await serve(WorkerSettings(redis_url=valkey.url), load)
        assert ended.group_contains(NotFound)
        assert await engines(client, FamilyKeys()) == []
        await client.aclose()
