"""One store and one server for each module of tests; a canvas of its own for each test."""

from collections.abc import AsyncIterator, Iterator

import pytest

from support.live_server import Links, LiveServer, live_server
from support.valkey import PrivateValkey, private_valkey


@pytest.fixture(scope="module")
def anyio_backend() -> tuple[str, dict[str, bool]]:
    return "asyncio", {"use_uvloop": True}


@pytest.fixture(scope="module")
def valkey() -> Iterator[PrivateValkey]:
    with private_valkey(fsync="no") as running:
        yield running


@pytest.fixture(scope="module")
async def server(anyio_backend: object, valkey: PrivateValkey) -> AsyncIterator[LiveServer]:
    async with live_server(valkey.url) as live:
        yield live


@pytest.fixture
async def canvas(server: LiveServer) -> Links:
    return await server.new_canvas()
