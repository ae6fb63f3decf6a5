"""A process that puts one canvas to sleep, to be killed while it does: REDIS_URL CELLAR CANVAS."""

from __future__ import annotations

import sys

import anyio

from nanobana_server.store import open_store
from nanobana_server.store.cellar import Cellar


async def main(url: str, cellar: str, canvas: str) -> None:
    store = await open_store(url, cellar=Cellar(cellar))
    try:
        await store.put_to_sleep(canvas)
    finally:
        await store.aclose()


if __name__ == "__main__":
    anyio.run(main, sys.argv[1], sys.argv[2], sys.argv[3])
