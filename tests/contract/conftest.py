"""The store's contract suite runs on the embedded Valkey, on a Valkey Cluster and on Debian's Redis (C7)."""

from collections.abc import AsyncIterator, Iterator

import pytest

from nanobana_server.store import Store, open_store
from support.cluster import cluster_url, private_cluster
from support.strokes import Easel
from support.valkey import private_valkey, redis_server
from support.work import clean_queues


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(
    scope="session",
    params=[
        "valkey",
        pytest.param("cluster", marks=pytest.mark.cluster),  # three nodes find together
        pytest.param("redis7", marks=pytest.mark.redis7),
    ],
)
def backend_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """One server or cluster per kind for the whole run; canvases have fresh IDs."""
    if request.param == "cluster":
        with private_cluster() as nodes:
            yield cluster_url(nodes[0])
        return
    server = None
    if request.param == "redis7":
        server = redis_server()
        if server is None:
            pytest.skip("Debian's redis-server is not installed")
    with private_valkey(fsync="no", server=server) as valkey:
        yield valkey.url


@pytest.fixture
async def store(backend_url: str) -> AsyncIterator[Store]:
    store = await open_store(backend_url)
    yield store
    await store.aclose()


@pytest.fixture
async def easel(store: Store) -> Easel:
    """A canvas of 1024 x 768 with one empty layer ``base``."""
    return await Easel.new(store)


@pytest.fixture
async def queue_is_empty(store: Store) -> None:
    """The streams belong to no canvas: each test of jobs starts with empty ones."""
    await clean_queues(store)
