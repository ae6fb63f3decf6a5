"""Edits that are over, newest first, for whoever looks back: the durable half of the page's strip (C8)."""

import msgspec

from nanobana.keyspace.keys import CanvasKeys
from nanobana.protocol.canvas import Job
from nanobana_server.store.base import Base

PAGE = 60
"""Edits in one answer, at most."""

_job = msgspec.msgpack.Decoder(Job)


class PastEdit(msgspec.Struct, frozen=True, kw_only=True):
    """An edit as it ended."""

    seq: int
    """Of the change that ended it."""
    job: Job


class Edits(Base):
    """The part of the store that knows how edits ended."""

    async def past_edits(self, canvas: str, *, before: int | None = None, limit: int = PAGE) -> list[PastEdit]:
        """Edits that ended before a seq, newest first; the last 1,000 of a canvas are kept, whatever became of its log.

        Args:
            before: the last one's seq of the page before; None: from the newest on.
        """
        end = "+" if before is None else f"({before}-0"
        found = await self.client.call(
            "XREVRANGE", CanvasKeys(canvas).edits, end, "-", "COUNT", max(1, min(limit, PAGE))
        )
        return [PastEdit(seq=int(entry.split(b"-")[0]), job=_job.decode(fields[b"m"])) for entry, fields in found]
