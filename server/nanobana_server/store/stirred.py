"""Which canvases must be looked after, and when: only those in which something happened cost anything (C8)."""

import secrets
import time
from collections import OrderedDict
from contextlib import suppress

import anyio
import structlog

from nanobana.keyspace import keys as names
from nanobana.keyspace.client import Client
from nanobana.protocol.errors import Unavailable
from nanobana_server.store.base import Base
from nanobana_server.store.pool import Pool

EVERY_S = 30.0
"""A canvas in which much happens is noted so often by each server."""

PATIENCE_S = 1.0
"""Nobody's change waits longer for the note."""

_REMEMBERED = 4096

_log = structlog.get_logger("nanobana.store")


class Stirred(Base):
    """The part of the store that notes what happened where."""

    def __init__(self, client: Client, pool: Pool) -> None:
        super().__init__(client, pool)
        self._noted: OrderedDict[str, float] = OrderedDict()

    async def stir(self, canvas: str) -> None:
        """Something is about to happen in a canvas: it must be looked after soon. Noted before it happens, so that a
        server that dies in between leaves a look too many, never one too few."""
        now = time.monotonic()
        if now - self._noted.get(canvas, -EVERY_S) < EVERY_S:
            return
        is_noted = False
        with anyio.move_on_after(PATIENCE_S), suppress(Unavailable):
            await self.client.call("ZADD", names.UPKEEP, -secrets.randbelow(2**40), canvas)
            is_noted = True
        if not is_noted:  # the list's own master is away, and no reason to refuse what this canvas's master takes (C7)
            _log.warning("canvas not noted for upkeep", canvas=canvas)  # with what happens next, or once a day with all
        self._noted[canvas] = now
        self._noted.move_to_end(canvas)
        if len(self._noted) > _REMEMBERED:
            self._noted.popitem(last=False)

    async def stir_all(self) -> None:
        """Every canvas must be looked after, those that are noted already when they are due."""
        found = await self.client.call("SMEMBERS", names.CANVASES)
        for canvas in found:
            await self.client.call("ZADD", names.UPKEEP, "NX", 0, canvas)

    async def due(self, most: int) -> list[tuple[str, float]]:
        """Canvases to be looked after now, with what `settled` wants to know."""
        found = await self.client.call(
            "ZRANGE", names.UPKEEP, "-inf", await self.now_ms(), "BYSCORE", "LIMIT", 0, most, "WITHSCORES"
        )
        pairs = found if found and isinstance(found[0], list | tuple) else zip(found[::2], found[1::2], strict=True)
        return [(canvas.decode(), float(score)) for canvas, score in pairs]

    async def settled(self, canvas: str, seen: float, again_ms: int | None) -> None:
        """A canvas was looked after; `again_ms`: when next, by the store's clock, None: when something happens."""
        words = [canvas, f"{seen:.0f}", "" if again_ms is None else again_ms]
        await self.client.run("settle", [names.UPKEEP], words)
