"""The canvas's log: the tail after a position, and whether the position still holds (C4, R5, R9)."""

from typing import Any

import msgspec

from nanobana.keyspace.keys import CanvasKeys
from nanobana.protocol.canvas import OpId, Position
from nanobana.protocol.errors import NotFound
from nanobana_server.store.base import Base
from nanobana_server.store.types import Gone

TAIL = 1000
"""Entries per read at most."""


class _Head(msgspec.Struct):
    op: OpId
    epoch: int


class _Time(msgspec.Struct):
    time_ms: int


_head = msgspec.msgpack.Decoder(_Head)
_time = msgspec.msgpack.Decoder(_Time)


class Log(Base):
    """The part of the store that reads logs."""

    async def log_after(self, canvas: str, position: Position, limit: int = TAIL) -> list[tuple[int, bytes]]:
        """The entries after a reader's position, at most `limit`; each is msgpack of Change.

        Raises:
            Gone: the position is void (C4): another epoch, beyond the head, another op at that seq, or trimmed away.
            NotFound: ``no_canvas``.
        """
        epoch, head, at, tail = await self._tail(canvas, position.seq, limit)
        if epoch != position.epoch:
            raise Gone("epoch", epoch)
        if position.seq > head:
            raise Gone("ahead", epoch)
        if position.seq > 0 and position.op is not None:
            if at is None:
                raise Gone("trimmed", epoch)
            if _head.decode(at).op != position.op:
                raise Gone("replaced", epoch)
        return _unbroken(position.seq, head, tail, epoch)

    async def read_tail(self, canvas: str, after: int, limit: int = TAIL) -> list[tuple[int, bytes]]:
        """The entries after a seq, for a reader that was connected all the time.

        Raises:
            Gone: ``trimmed`` or ``ahead``: the entries do not follow on (C8).
            NotFound: ``no_canvas``.
        """
        epoch, head, _at, tail = await self._tail(canvas, after, limit)
        if after > head:
            raise Gone("ahead", epoch)
        return _unbroken(after, head, tail, epoch)

    async def first_since(self, canvas: str, since_ms: int) -> int:
        """Seq of the log's first change that is not older, by the store's clock; one beyond its head where none is."""
        key = CanvasKeys(canvas).log
        first, last = None, "+"
        while True:
            entries = await self.client.call("XREVRANGE", key, last, "-", "COUNT", TAIL)
            for entry, fields in entries:
                seq = int(bytes(entry).split(b"-")[0])
                first = seq + 1 if first is None else first
                if _time.decode(_body(fields)).time_ms < since_ms:
                    return first
                first = seq
            if len(entries) < TAIL:
                return first or 1
            last = f"({first}-0"

    async def raise_epoch(self, canvas: str, void_epoch: int) -> int:
        """Void all positions, because the store lost its log's tail (C4); once per epoch, whoever comes first.

        Returns:
            The epoch now.
        """
        epoch = await self.client.run("raise_epoch", [CanvasKeys(canvas).meta], [void_epoch])
        if epoch is None:
            raise NotFound(f"There is no canvas {canvas}.", code="no_canvas")
        return int(epoch)

    async def _tail(self, canvas: str, seq: int, limit: int) -> tuple[int, int, bytes | None, list[Any]]:
        keys = CanvasKeys(canvas)
        reply = await self.client.run("tail", [keys.meta, keys.log], [seq, limit])
        if reply is None:
            raise NotFound(f"There is no canvas {canvas}.", code="no_canvas")
        return int(reply[0]), int(reply[1]), reply[2], reply[3]


def _body(fields: Any) -> bytes:
    """The entry's one value; clients give a dictionary or pairs."""
    return bytes(next(iter(fields.values())) if isinstance(fields, dict) else fields[1])


def _unbroken(after: int, head: int, tail: list[Any], epoch: int) -> list[tuple[int, bytes]]:
    entries = [(int(tail[i]), tail[i + 1]) for i in range(0, len(tail), 2)]
    if after < head and (not entries or entries[0][0] != after + 1):
        raise Gone("trimmed", epoch)
    return entries
