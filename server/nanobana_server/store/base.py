"""What every part of the store holds: the client, the pool, and the cellar where there is one."""

from nanobana.keyspace.client import Client
from nanobana_server.store.cellar import Cellar
from nanobana_server.store.pool import Pool


class Base:
    """One store; its parts are in the modules beside this one and come together in `Store`."""

    cellar: Cellar | None = None
    """Where bytes go that only history names, and canvases that nobody opens; None: everything stays in the store."""

    def __init__(self, client: Client, pool: Pool) -> None:
        self.client = client
        self.pool = pool

    async def now_ms(self) -> int:
        """Milliseconds by the store's clock, the only one that all servers share."""
        seconds, micros = await self.client.call("TIME")
        return int(seconds) * 1000 + int(micros) // 1000
