"""The whole history of a canvas: chapters that were archived as blobs, and the log that follows on them (C8)."""

import zlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import msgspec

from nanobana.keyspace.keys import CanvasKeys
from nanobana.protocol.canvas import Change
from nanobana_server.store.blobs import Blobs, MissingBlobs
from nanobana_server.store.log import Log
from nanobana_server.store.types import Gone

CHAPTER = 1000
"""Log entries in one blob."""

KEPT_MS = 600_000
"""What is younger stays in the log: a reader that was away for ten minutes resumes from the tail (R5)."""


@dataclass(frozen=True, slots=True)
class Chapter:
    """A stretch of the log in a blob: zlib over a msgpack list of entries (msgpack Change), oldest first."""

    first: int
    last: int
    blob: str


class History(Blobs, Log):
    """The part of the store that remembers."""

    async def archive_log(self, canvas: str, *, kept_ms: int = KEPT_MS, chapter: int = CHAPTER) -> int:
        """Move whole chapters of old entries from the log into blobs, so that the log's memory stays bounded (C8).

        Killed at any moment it leaves a blob that nobody names, or nothing: the log is trimmed by the same script that
        notes the chapter.

        Returns:
            Chapters that were made.
        """
        keys = CanvasKeys(canvas)
        made = 0
        while True:
            entries = await self.client.call("XRANGE", keys.log, "-", "+", "COUNT", chapter + 1)
            if len(entries) <= chapter:
                return made
            old = [_entry(pair) for pair in entries[:chapter]]
            youngest = msgspec.msgpack.decode(old[-1][1], type=Change)
            if youngest.time_ms > await self.now_ms() - kept_ms:
                return made
            chapter_bytes = await self.pool.run(packed, [data for _seq, data in old])
            name = (await self.put_blobs(canvas, [chapter_bytes], over_budget=True))[0]
            wanted = [keys.meta, keys.log, keys.blobs, keys.blob_ages, keys.archive]
            if not await self.client.run("archive_log", wanted, [old[0][0], old[-1][0], name]):
                return made  # somebody else did it
            made += 1

    async def chapters(self, canvas: str) -> list[Chapter]:
        """What was archived, oldest first."""
        found = await self.client.call("ZRANGE", CanvasKeys(canvas).archive, 0, -1)
        return [_chapter(member.decode()) for member in found]

    async def history(self, canvas: str) -> AsyncIterator[Change]:
        """Every change that was ever committed, oldest first, each once.

        Raises:
            NotFound: ``missing_blob``: a chapter is neither in the store nor in the cellar.
        """
        after = 0
        while True:
            for chapter in await self.chapters(canvas):
                if chapter.last <= after:
                    continue
                data = (await self.get_blobs(canvas, [chapter.blob]))[0]
                if data is None:
                    raise MissingBlobs([chapter.blob])
                for entry in await self.pool.run(unpacked, data):
                    change = msgspec.msgpack.decode(entry, type=Change)
                    if change.seq > after:
                        yield change
                after = chapter.last
            try:
                while tail := await self.read_tail(canvas, after):
                    for _seq, entry in tail:
                        yield msgspec.msgpack.decode(entry, type=Change)
                    after = tail[-1][0]
                return
            except Gone as gone:
                if gone.reason != "trimmed":
                    raise
                # a chapter was made meanwhile: it has what is missing here


def _chapter(member: str) -> Chapter:
    span, _, blob = member.partition("/")
    first, _, last = span.partition("-")
    return Chapter(int(first), int(last), blob)


def packed(entries: list[bytes]) -> bytes:
    """The blob of a chapter with these entries."""
    return zlib.compress(msgspec.msgpack.encode(entries), 6)


def unpacked(chapter: bytes) -> list[bytes]:
    """The entries of a chapter's blob."""
    return msgspec.msgpack.decode(zlib.decompress(chapter), type=list[bytes])


def _entry(pair: Any) -> tuple[int, bytes]:
    """Seq and bytes of a stream entry as redis-py gives it."""
    name, fields = pair
    return int(name.split(b"-")[0]), fields[b"m"]
