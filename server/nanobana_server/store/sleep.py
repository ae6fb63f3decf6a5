"""Canvases that nobody opened for long sleep in the cellar, and wake when somebody comes (C8)."""

from collections.abc import Sequence

import msgspec
import structlog

from nanobana.keyspace.keys import CanvasKeys
from nanobana.protocol.errors import Conflict, Unavailable
from nanobana_server.store.contents import Value, put_values, read_value
from nanobana_server.store.presence import Presence
from nanobana_server.store.release import BATCH, Release

WRITE_BYTES = 1 << 20
"""Bytes per write on the way back: others wait no longer than for an upload (C3)."""

_log = structlog.get_logger("nanobana.sleep")


class Sleeping(msgspec.Struct, frozen=True):
    """The file in the cellar: everything of a canvas but its blobs, which lie there under their own names."""

    version: int
    values: list[Value]
    blobs: list[str]
    """Those that were in the store, not only in the cellar."""


class Sleep(Release, Presence):
    """The part of the store that lets canvases sleep."""

    async def put_to_sleep(self, canvas: str) -> bool:
        """Copy a canvas to the cellar, then let its keys go, unless anything happened to it meanwhile.

        Killed at any moment, the canvas is whole in the store, or whole in the cellar.

        Returns:
            False where it stays: somebody is there, edits are open, something changed, or it sleeps already.
        """
        if self.cellar is None:
            return False
        keys = CanvasKeys(canvas)
        if await self.client.call("EXISTS", keys.open_jobs) or await self.members(canvas):
            return False
        ended = await self.client.call("ZRANGE", keys.ended_jobs, 0, -1)
        unread = [keys.blobs, keys.mips, keys.mip_ages]
        copied = [key for key in keys.all if key not in (*unread, keys.asleep)]
        copied += [keys.job(job.decode()) for job in ended]
        before = await self.client.run("fingerprint", copied)
        if not before[copied.index(keys.meta)]:
            return False
        names = await self._all_to_cellar(canvas)
        values = [value for key in copied if (value := await read_value(self.client, keys, key)) is not None]
        file = await self.cellar.put(canvas, msgspec.msgpack.encode(Sleeping(1, values, names)))
        if await self.cellar.get(canvas, file) is None:
            raise Unavailable("What was written to the cellar cannot be read there.", code="cellar_unavailable")
        done = await self.client.run("fall_asleep", [keys.asleep, *copied, *unread], [file, *before])
        return bool(done)

    async def wake(self, canvas: str) -> bool:
        """Bring a sleeping canvas back, as it was; False if it does not sleep here.

        Raises:
            Unavailable: ``cellar_unavailable``: it sleeps where this server cannot look.
        """
        keys = CanvasKeys(canvas)
        found = await self.client.call("GET", keys.asleep)
        if found is None:
            return False
        file = found.decode()
        data = None if self.cellar is None else await self.cellar.get(canvas, file)
        if data is None:
            raise _unreachable()
        sleeping = msgspec.msgpack.decode(data, type=Sleeping)
        await self._all_from_cellar(canvas, sleeping.blobs)
        if await put_values(self.client, keys, sleeping.values, file):
            _log.info("canvas woke", canvas=canvas, blobs=len(sleeping.blobs))
        return True

    async def _all_to_cellar(self, canvas: str) -> list[str]:
        assert self.cellar is not None
        names = [name.decode() for name in await self.client.call("HKEYS", CanvasKeys(canvas).blobs)]
        for start in range(0, len(names), BATCH):
            batch = names[start : start + BATCH]
            if await self._copied(canvas, self.cellar, batch) != batch:
                raise Conflict("Bytes of this canvas went while it was copied; it stays.", code="moved")
        return names

    async def _all_from_cellar(self, canvas: str, names: Sequence[str]) -> None:
        assert self.cellar is not None
        keys = CanvasKeys(canvas)
        words: list[str | bytes] = []
        size = 0
        for name in names:
            data = await self.cellar.get(canvas, name)
            if data is None:
                raise _unreachable()
            if words and size + len(data) > WRITE_BYTES:
                await self.client.call("HSET", keys.blobs, *words)
                words, size = [], 0
            words += [name, data]
            size += len(data)
        if words:
            await self.client.call("HSET", keys.blobs, *words)


def _unreachable() -> Unavailable:
    text = "This canvas sleeps, and where it sleeps cannot be read from here. Ask who runs this server; it is not lost."
    return Unavailable(text, code="cellar_unavailable", retry_ms=5000)
