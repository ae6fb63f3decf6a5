"""One store and one server for each module of tests; a canvas of its own for each test."""

from collections.abc import AsyncIterator, Iterator

import pytest
from blockbuster import BlockBuster

from nanobana_server.room.pace import Pace
from nanobana_server.store import Store, open_store
from support.live_server import Links, LiveServer, live_server
from support.valkey import PrivateValkey, private_valkey


@pytest.fixture(scope="module")
def anyio_backend() -> tuple[str, dict[str, bool]]:
    return "asyncio", {"use_uvloop": True}


@pytest.fixture(autouse=True)
def no_blocking() -> Iterator[None]:
    """Anything that blocks the event loop, in the server or in the test, fails it."""
    guard = BlockBuster()
    for look in ("os.stat", "os.listdir", "os.scandir", "io.TextIOWrapper.read", "io.BufferedReader.read"):
        guard.functions[look].can_block_in(
            "importlib/metadata/__init__.py", {"search", "mtime", "read_text", "children"}
        )
    guard.activate()
    try:
        yield
    finally:
        guard.deactivate()


@pytest.fixture(scope="module")
def valkey() -> Iterator[PrivateValkey]:
    with private_valkey(fsync="no") as running:
        yield running


@pytest.fixture(scope="module")
async def server(anyio_backend: object, valkey: PrivateValkey) -> AsyncIterator[LiveServer]:
    async with live_server(valkey.url) as live:
        yield live


@pytest.fixture(scope="module")
async def told(anyio_backend: object, valkey: PrivateValkey) -> AsyncIterator[LiveServer]:
    """A server whose rooms look at nothing of their own accord: what reaches them was told them."""
    async with live_server(valkey.url, pace=Pace(poll=3600)) as live:
        yield live


@pytest.fixture
async def canvas(server: LiveServer) -> Links:
    return await server.new_canvas()


@pytest.fixture
async def store(valkey: PrivateValkey) -> AsyncIterator[Store]:
    opened = await open_store(valkey.url)
    yield opened
    await opened.aclose()
