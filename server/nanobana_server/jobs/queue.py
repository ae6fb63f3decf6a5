"""The engines' queue: a job's ticket, its note in the outbox, and each waiting job's place (J1, design §3.3)."""

from collections.abc import Iterator
from typing import Any

import msgspec

from nanobana.keyspace.keys import JOB_GROUP, CanvasKeys, FamilyKeys, canvas_index, shard_of
from nanobana.protocol.jobs import JobSpec, JobTicket
from nanobana_server.store import Store

UNSENT = ""
LANES = ("live", "batch")

LOOKED_AT = 1000
"""Tickets per lane that `queue_places` looks at."""

_ticket = msgspec.msgpack.Decoder(JobTicket)


async def announce(store: Store, canvas: str) -> None:
    """Put a canvas on the index of those with an outbox; done before its outbox is written."""
    await store.client.call("SADD", canvas_index(shard_of(canvas)), canvas)


async def send(store: Store, spec: JobSpec, *, instead_of: str = UNSENT, family: FamilyKeys | None = None) -> None:
    """Put a job's ticket on its family's stream and note the entry in the outbox.

    A second ticket of the same job is harmless: the claim in the canvas's slot is what counts (J2).

    Args:
        instead_of: the entry that the outbox names now; if it names another one by then, that one stays.
    """
    keys = family or FamilyKeys()
    ticket = JobTicket(canvas=spec.canvas, job=spec.job, user=spec.user, lane=spec.edit.lane)
    entry = await store.client.call("XADD", keys.stream(spec.edit.lane), "*", "m", msgspec.msgpack.encode(ticket))
    await store.client.run("mark_sent", [CanvasKeys(spec.canvas).open_jobs], [spec.job, entry, instead_of])


async def is_queued(store: Store, spec: JobSpec, entry: str, family: FamilyKeys | None = None) -> bool:
    """Whether the ticket is still on the stream: an engine deletes it after it handed in the result."""
    stream = (family or FamilyKeys()).stream(spec.edit.lane)
    return bool(await store.client.call("XRANGE", stream, entry, entry))


async def queue_places(store: Store, family: FamilyKeys | None = None) -> dict[str, int]:
    """Job ID → place of every ticket that no engine has taken yet: 1 is next, live before batch.

    Jobs that an engine has taken are left out: their place is 0.
    """
    keys = family or FamilyKeys()
    places: dict[str, int] = {}
    for lane in LANES:
        stream = keys.stream(lane)
        taken = await _last_taken(store, stream)
        waiting = await store.client.call("XRANGE", stream, f"({taken}", "+", "COUNT", LOOKED_AT)
        for _entry, fields in entries_of(waiting):
            ticket = _ticket.decode(fields[b"m"])
            places.setdefault(ticket.job, len(places) + 1)
    return places


def entries_of(reply: Any) -> Iterator[tuple[str, dict[bytes, bytes]]]:
    """Entries of an XRANGE reply; deleted ones come without fields and are left out."""
    for entry, fields in reply or ():
        if fields:
            yield entry.decode(), fields


async def _last_taken(store: Store, stream: str) -> str:
    if not await store.client.call("EXISTS", stream):
        return "0-0"
    for facts in await store.client.call("XINFO", "GROUPS", stream):
        group = {_text(name): value for name, value in facts.items()}
        if _text(group["name"]) == JOB_GROUP:
            return _text(group["last-delivered-id"])
    return "0-0"


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value
