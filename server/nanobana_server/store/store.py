"""The store as one object: canvases, blobs, commits, logs, bells, access, presence on one Redis, Valkey or cluster."""

import os

import anyio

from nanobana.keyspace.client import Client
from nanobana_server.store.access import Access
from nanobana_server.store.allowances import Allowances
from nanobana_server.store.beginning import Beginning
from nanobana_server.store.bells import Bells
from nanobana_server.store.cellar import Cellar
from nanobana_server.store.comments import Comments
from nanobana_server.store.commits import Commits
from nanobana_server.store.deletion import Deletion
from nanobana_server.store.edits import Edits
from nanobana_server.store.past_pictures import PastPictures
from nanobana_server.store.people import People
from nanobana_server.store.pool import Pool
from nanobana_server.store.sleep import Sleep
from nanobana_server.store.turns import Turns
from nanobana_server.store.verdicts import Verdicts

WHOLE_PICTURES = 2
"""Imports and exports that may hold a whole picture in memory at once; more wait their turn."""


class Store(
    Commits, Sleep, Beginning, Bells, PastPictures, Deletion, Edits, Comments, People, Verdicts, Access, Allowances
):
    """Everything durable of every canvas; nothing of it is held in this process but caches.

    Ops that need pixels are in `nanobana_server.store.ops`, jobs in `nanobana_server.jobs`. All methods raise
    Unavailable while the store is away.
    """

    def __init__(self, client: Client, pool: Pool, cellar: Cellar | None = None) -> None:
        super().__init__(client, pool)
        self.cellar = cellar
        self.turns = Turns()
        self.whole_pictures = anyio.Semaphore(WHOLE_PICTURES)

    async def ping(self) -> None:
        """Answers if the store does. Raises Unavailable."""
        await self.client.call("PING")

    async def aclose(self) -> None:
        """Close every connection."""
        await self.client.aclose()


async def open_store(
    url: str, *, threads: int | None = None, connections: int = 64, cellar: Cellar | None = None
) -> Store:
    """A store that answers.

    Args:
        url: ``redis://``, ``rediss://``, ``unix://`` or ``redis+cluster://host:port``.
        threads: for pixel work; None: one per CPU, two at least, eight at most.
        cellar: the same for every server of the store.

    Raises:
        Unavailable: it does not answer.
    """
    client = Client(url, connections=connections)
    store = Store(client, Pool(threads or max(2, min(8, os.cpu_count() or 2))), cellar)
    try:
        await store.ping()
    except BaseException:
        await store.aclose()
        raise
    return store
