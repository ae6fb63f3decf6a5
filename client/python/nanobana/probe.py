"""Whether an engine of this machine is well, asked of the store: the health check of an engine's container."""

from __future__ import annotations

import socket

from nanobana.keyspace.claims import engines
from nanobana.keyspace.client import Client
from nanobana.keyspace.keys import FamilyKeys


async def engine_is_well(redis_url: str, host: str | None = None) -> bool:
    """Whether a fresh heartbeat of an engine on `host` (this machine if None) is in the store.

    Raises:
        Unavailable: the store cannot be reached.
    """
    client = Client(redis_url, connections=1)
    try:
        alive = await engines(client, FamilyKeys())
    finally:
        await client.aclose()
    return any(engine.host == (host or socket.gethostname()) for engine in alive)
