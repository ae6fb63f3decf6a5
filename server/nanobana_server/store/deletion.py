"""A canvas that its owner deleted: nobody sees it any more, and for some days it can be taken back whole (C12)."""

import time

from nanobana.keyspace import keys as names
from nanobana.keyspace.keys import CanvasKeys
from nanobana.protocol.errors import NotFound
from nanobana_server.store.canvases import Canvases
from nanobana_server.store.stirred import Stirred


class Deleted(NotFound):
    """The canvas was deleted, and can be taken back."""

    code = "canvas_deleted"
    status = 410

    def __init__(self, until_ms: int) -> None:
        day = time.strftime("%d %B %Y", time.gmtime(until_ms / 1000))
        super().__init__(f"This canvas was deleted. Its owner can take it back until {day}.")


class Deletion(Stirred, Canvases):
    """The part of the store that deletes canvases."""

    async def set_aside(self, canvas: str, kept_ms: int) -> int:
        """Delete a canvas so that it can be taken back for a while; 0: for good at once.

        Returns:
            Until when it is kept, by the store's clock.

        Raises:
            NotFound: ``no_canvas``.
        """
        keys = CanvasKeys(canvas)
        until_ms = await self.now_ms() + kept_ms
        if not await self.client.run("set_aside", [keys.meta, keys.deleted, keys.bell], [until_ms]):
            raise NotFound(f"There is no canvas {canvas}.", code="no_canvas")
        if kept_ms <= 0:
            await self.delete_canvas(canvas)
        else:
            await self.client.call("ZADD", names.UPKEEP, until_ms, canvas)
        return until_ms

    async def take_back(self, canvas: str) -> None:
        """Undo `set_aside`: the canvas is what it was. Raises NotFound ``no_canvas`` where it is gone for good."""
        keys = CanvasKeys(canvas)
        if not await self.client.run("take_back", [keys.meta, keys.deleted], []):
            raise NotFound("This canvas is gone for good, or was never deleted.", code="no_canvas")
        await self.stir(canvas)

    async def deleted_until(self, canvas: str) -> int | None:
        """Until when a deleted canvas is kept, ms by the store's clock; None: it is not deleted, or for good."""
        found = await self.client.call("HGET", CanvasKeys(canvas).deleted, "until_ms")
        return None if found is None else int(found)

    async def purge(self, canvas: str) -> int | None:
        """Delete for good what was kept long enough; when to look again, None: never."""
        until_ms = await self.deleted_until(canvas)
        if until_ms is None or await self.now_ms() < until_ms:
            return until_ms
        await self.delete_canvas(canvas)
        return None
