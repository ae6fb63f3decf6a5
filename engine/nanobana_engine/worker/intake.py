"""Where jobs come from: a consumer group on the live and the batch stream, and what dead workers left (J1, J2)."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import msgspec
from redis import exceptions

from nanobana.keyspace.client import Client
from nanobana.keyspace.keys import JOB_GROUP, FamilyKeys
from nanobana.protocol.jobs import JobTicket

log = logging.getLogger(__name__)

LANES = ("live", "batch")
"""In the order in which they are served."""

_ticket = msgspec.msgpack.Decoder(JobTicket)


@dataclass(frozen=True, slots=True)
class Delivery:
    """A ticket and the stream entry that it came as."""

    stream: str
    entry: str
    ticket: JobTicket


class Intake:
    """One worker's place in the consumer group."""

    def __init__(self, client: Client, family: FamilyKeys, worker: str) -> None:
        self._client = client
        self._worker = worker
        self._streams = [family.stream(lane) for lane in LANES]

    async def join(self) -> None:
        """Make the group where it does not exist; entries sent before that are delivered too."""
        for stream in self._streams:
            try:
                await self._client.call("XGROUP", "CREATE", stream, JOB_GROUP, "0", "MKSTREAM")
            except exceptions.ResponseError as error:
                if "BUSYGROUP" not in str(error):
                    raise

    async def read(self, block_ms: int) -> list[Delivery]:
        """New tickets, live ones first; waits for one in a single blocking read over both streams."""
        ids = [">"] * len(self._streams)
        words = ("XREADGROUP", "GROUP", JOB_GROUP, self._worker, "COUNT", 1, "BLOCK", block_ms, "STREAMS")
        try:
            reply = await self._client.call(*words, *self._streams, *ids)
        except exceptions.ResponseError as error:
            if "NOGROUP" not in str(error):
                raise
            await self.join()  # the store came back without its data
            return []
        found = {_text(stream): entries for stream, entries in _streams_of(reply)}
        return [each for stream in self._streams for each in await self._opened(stream, found.get(stream, []))]

    async def left_behind(self, idle_ms: int) -> list[Delivery]:
        """Tickets that were delivered, are not acknowledged and lay untouched for so long: their worker may be dead."""
        found = []
        for stream in self._streams:
            try:
                reply = await self._client.call(
                    "XAUTOCLAIM", stream, JOB_GROUP, self._worker, idle_ms, "0-0", "COUNT", 16
                )
            except exceptions.ResponseError as error:
                if "NOGROUP" not in str(error):
                    raise
                await self.join()
                continue
            found += await self._opened(stream, reply[1])
        return found

    async def acknowledge(self, delivery: Delivery) -> None:
        """The job is over: the ticket leaves the group and the stream."""
        await self._client.pipeline(
            [("XACK", delivery.stream, JOB_GROUP, delivery.entry), ("XDEL", delivery.stream, delivery.entry)]
        )

    async def leave(self) -> None:
        """Take this worker's name out of the group, unless tickets are still pending on it."""
        for stream in self._streams:
            pending = await self._client.call("XPENDING", stream, JOB_GROUP)
            if self._worker not in {_text(each["name"]) for each in pending["consumers"]}:
                await self._client.call("XGROUP", "DELCONSUMER", stream, JOB_GROUP, self._worker)

    async def _opened(self, stream: str, entries: Iterable[Any]) -> list[Delivery]:
        opened = []
        for entry, fields in entries:
            name = _text(entry)
            try:
                opened.append(Delivery(stream, name, _ticket.decode(_field(fields, b"m"))))
            except (msgspec.DecodeError, KeyError, TypeError):
                log.warning("a ticket is not understood and is dropped: entry %s of %s", name, stream)
                await self._client.pipeline([("XACK", stream, JOB_GROUP, name), ("XDEL", stream, name)])
        return opened


def _streams_of(reply: Any) -> Iterator[tuple[Any, list[Any]]]:
    """(stream, entries) whichever shape redis-py gives a reply: RESP3's map or RESP2's list."""
    if not reply:
        return
    for stream, entries in reply.items() if isinstance(reply, dict) else reply:
        nested = len(entries) == 1 and entries[0] and isinstance(entries[0][0], (list, tuple))
        yield stream, entries[0] if nested else entries


def _field(fields: Any, name: bytes) -> bytes:
    pairs = fields if isinstance(fields, dict) else dict(zip(fields[::2], fields[1::2], strict=True))
    value: bytes = pairs[name]
    return value


def _text(word: bytes | str) -> str:
    return word.decode() if isinstance(word, bytes) else word
