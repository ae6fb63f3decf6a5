"""Where jobs come from: the fair one of the tickets for its models, and what dead engines left (E7, J1, J2)."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from nanobana.keyspace.client import Client, Word
from nanobana.keyspace.keys import JOB_GROUP, FamilyKeys, queue_of
from nanobana.protocol.jobs import JobTicket

log = logging.getLogger(__name__)

LANES = ("live", "batch")
"""In the order in which they are served."""

READ = 1000
"""Tickets heard of at once."""

_ticket = msgspec.msgpack.Decoder(JobTicket)


@dataclass(frozen=True, slots=True)
class Delivery:
    """A ticket and the stream entry that it came as."""

    lane: str
    entry: str
    ticket: JobTicket

    @property
    def key(self) -> str:
        """Unlike the entry's own ID, no other lane has it."""
        return f"{self.lane}/{self.entry}"


class Intake:
    """One engine's place at the desk where tickets are handed out.

    Args:
        models: those that it serves, and whether each is in memory now.
        slots: tickets that it has in hand at the same time; beyond them, up to `most`, it takes live ones of users
            who have less in hand than an equal share of the slots.
        dead_ms: an engine that was silent for so long is dead: its tickets wait again.
        left_ms: a ticket that is pending on this engine and not in its hands waits again after so long.
    """

    def __init__(
        self,
        client: Client,
        family: FamilyKeys,
        worker: str,
        models: Callable[[], Mapping[str, bool]],
        *,
        slots: int,
        most: int,
        dead_ms: int,
        left_ms: int,
    ) -> None:
        self._client = client
        self._worker = worker
        self._family = family
        self._models = models
        self._limits: list[Word] = [slots, most, dead_ms, left_ms]
        self._seen = dict.fromkeys(LANES, "0-0")
        """Per lane, the newest entry that was heard of."""

    async def take(self, in_hand: Iterable[Delivery], *, look: bool = False) -> Delivery | None:
        """The next ticket for this engine; None if there is none that it should take.

        Args:
            look: look for what dead engines left, too.
        """
        family = self._family
        if look:
            await self._client.run("count_anew", list(map(family.stream, LANES)), [JOB_GROUP, READ])
        keys = [*map(family.stream, LANES), family.waiting, family.turns, family.desk, family.engine_ages]
        models = self._models()
        args: list[Word] = [JOB_GROUP, self._worker, *self._limits, "look" if look else "", len(models)]
        for model, is_loaded in models.items():
            args += [queue_of(model), int(is_loaded)]
        for each in in_hand:
            args += [each.key, each.ticket.user]
        newest, *found = await self._client.run("take", keys, args)
        for lane, entry in zip(LANES, newest, strict=True):
            self._heard_of(lane, entry.decode())
        return await self._opened(found[0].decode(), found[1].decode(), found[2]) if found else None

    async def listen(self, block_ms: int) -> bool:
        """Wait for a ticket that is newer than all that were heard of; one blocking read over both streams."""
        streams = [self._family.stream(lane) for lane in LANES]
        words = ("XREAD", "COUNT", READ, "BLOCK", block_ms, "STREAMS")
        reply = await self._client.call(*words, *streams, *(self._seen[lane] for lane in LANES))
        for stream, entries in _streams_of(reply):
            self._heard_of(LANES[streams.index(_text(stream))], _text(entries[-1][0]))
        return bool(reply)

    async def acknowledge(self, delivery: Delivery) -> None:
        """The job is over: the ticket leaves the group and the stream."""
        stream = self._family.stream(delivery.lane)
        await self._client.pipeline([("XACK", stream, JOB_GROUP, delivery.entry), ("XDEL", stream, delivery.entry)])

    async def close(self) -> None:
        """Take no more: the others need not leave tickets to this engine."""
        await self._client.call("HDEL", self._family.desk, f"room/{self._worker}")

    async def leave(self) -> None:
        """Take this worker's name out of the group, unless tickets are still pending on it."""
        await self.close()
        for stream in map(self._family.stream, LANES):
            pending = await self._client.call("XPENDING", stream, JOB_GROUP)
            if self._worker not in {_text(each["name"]) for each in pending["consumers"]}:
                await self._client.call("XGROUP", "DELCONSUMER", stream, JOB_GROUP, self._worker)

    def _heard_of(self, lane: str, entry: str) -> None:
        self._seen[lane] = max(self._seen[lane], entry, key=_moment)

    async def _opened(self, lane: str, entry: str, data: bytes) -> Delivery | None:
        try:
            return Delivery(lane, entry, _ticket.decode(data))
        except msgspec.DecodeError:
            log.warning("a ticket is not understood and is dropped: entry %s of lane %s", entry, lane)
            stream = self._family.stream(lane)
            await self._client.pipeline([("XACK", stream, JOB_GROUP, entry), ("XDEL", stream, entry)])
            return None


def _streams_of(reply: Any) -> Iterable[tuple[Any, list[Any]]]:
    """(stream, entries) whichever shape redis-py gives a reply: RESP3's map or RESP2's list."""
    if not reply:
        return
    for stream, entries in reply.items() if isinstance(reply, dict) else reply:
        nested = len(entries) == 1 and entries[0] and isinstance(entries[0][0], (list, tuple))
        yield stream, entries[0] if nested else entries


def _moment(entry: str) -> tuple[int, int]:
    ms, n = entry.split("-")
    return int(ms), int(n)


def _text(word: bytes | str) -> str:
    return word.decode() if isinstance(word, bytes) else word
