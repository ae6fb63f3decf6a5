"""What every part of the store holds: the client and the pool."""

from nanobana.keyspace.client import Client
from nanobana_server.store.pool import Pool


class Base:
    """One store; its parts are in the modules beside this one and come together in `Store`."""

    def __init__(self, client: Client, pool: Pool) -> None:
        self.client = client
        self.pool = pool
