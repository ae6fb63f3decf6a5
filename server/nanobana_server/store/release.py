"""Bytes that only history names leave the store for the cellar, in two looks an hour apart (C8, C12)."""

import re
from collections.abc import Iterator, Sequence
from typing import Any

from nanobana.keyspace.keys import CanvasKeys
from nanobana_server.store.cellar import Cellar
from nanobana_server.store.history import History

GRACE_MS = 3_600_000
"""So long nothing but history named a blob before it goes: a reader with an old list of names is through by then."""

CROWDED = 0.75
"""Share of a canvas's budget from which on the grace is over at once."""

BATCH = 64

_NAME = re.compile(rb"(?=([0-9a-f]{32}))")
"""Whatever could be a blob's name within other bytes, overlapping ones too."""


class Release(History):
    """The part of the store that makes room."""

    async def release_blobs(self, canvas: str, grace_ms: int = GRACE_MS) -> int:
        """Move what only history names to the cellar; nothing happens without one.

        First look: copied to the cellar, and noted. A later look, after the grace: what is noted still and still named
        by nothing is deleted here. An op that names such a blob in between, or an upload, takes the note off; the
        script that deletes compares it once more.

        Returns:
            Bytes freed.
        """
        if self.cellar is None:
            return 0
        keys = CanvasKeys(canvas)
        used, budget = map(int, await self.client.call("HMGET", keys.meta, "used_bytes", "budget_bytes"))
        if used > CROWDED * budget:
            grace_ms = 0
        named = await self._named(canvas)
        freed = await self._delete(canvas, named, grace_ms)
        await self._condemn(canvas, self.cellar, named)
        return freed

    async def _delete(self, canvas: str, named: set[bytes], grace_ms: int) -> int:
        keys = CanvasKeys(canvas)
        since = await self.now_ms() - grace_ms
        noted = _scored(await self.client.call("ZRANGEBYSCORE", keys.blob_ages, -since, "(0", "WITHSCORES"))
        doomed = [(name, score) for name, score in noted if name not in named]
        freed = 0
        for start in range(0, len(doomed), BATCH):
            words = [word for name, score in doomed[start : start + BATCH] for word in (name, f"{score:.0f}")]
            _count, size = await self.client.run("release_blobs", [keys.meta, keys.blobs, keys.blob_ages], words)
            freed += int(size)
        return freed

    async def _condemn(self, canvas: str, cellar: Cellar, named: set[bytes]) -> None:
        keys = CanvasKeys(canvas)
        settled = await self.client.call("ZRANGEBYSCORE", keys.blob_ages, "+inf", "+inf")
        loose = [name for name in settled if name not in named]
        for start in range(0, len(loose), BATCH):
            kept = await self._copied(canvas, cellar, [name.decode() for name in loose[start : start + BATCH]])
            if kept:
                await self.client.run("condemn_blobs", [keys.blob_ages], kept)

    async def _copied(self, canvas: str, cellar: Cellar, names: Sequence[str]) -> list[str]:
        """Those that lie in the cellar now, as they can be read there."""
        kept = []
        for name, data in zip(names, await self.get_blobs(canvas, names), strict=True):
            if data is not None:
                await cellar.put(canvas, data, name)
                if await cellar.get(canvas, name) is not None:
                    kept.append(name)
        return kept

    async def _named(self, canvas: str) -> set[bytes]:
        """Every blob that anything but history names: tiles, undo, kept log, jobs. More than that does no harm."""
        keys = CanvasKeys(canvas)
        named = set(await self.client.call("HVALS", keys.tiles))
        for key, command in ((keys.history, "ZSCAN"), (keys.undo, "HSCAN")):
            cursor = 0
            while True:
                cursor, part = await self.client.call(command, key, cursor, "COUNT", 1000)
                named.update(_found(part))
                if int(cursor) == 0:
                    break
        jobs = await self.client.call("HKEYS", keys.open_jobs)
        jobs += await self.client.call("ZRANGE", keys.ended_jobs, 0, -1)
        for job in jobs:
            named.update(_found(await self.client.call("HMGET", keys.job(job.decode()), "spec", "public")))
        start = "-"
        while entries := await self.client.call("XRANGE", keys.log, start, "+", "COUNT", 500):
            named.update(_found(entries))
            start = f"({entries[-1][0].decode()}"
        return named


def names_in(data: bytes) -> Iterator[bytes]:
    """Whatever could be a blob's name in encoded bytes."""
    return (match[1] for match in _NAME.finditer(data))


def _found(reply: Any) -> Iterator[bytes]:
    """Whatever could be a blob's name in a reply, however it is nested."""
    if isinstance(reply, bytes):
        yield from _NAME.findall(reply)
    elif isinstance(reply, dict):
        for field, value in reply.items():
            yield from _found(field)
            yield from _found(value)
    elif isinstance(reply, (list, tuple)):
        for part in reply:
            yield from _found(part)


def _scored(reply: Any) -> list[tuple[bytes, float]]:
    """Members with their scores, as redis-py gives them: pairs, or one flat list."""
    if reply and not isinstance(reply[0], (list, tuple)):
        reply = list(zip(reply[::2], reply[1::2], strict=True))
    return [(name, float(score)) for name, score in reply]
