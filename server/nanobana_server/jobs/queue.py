"""The engines' queue: a job's ticket, its note in the outbox, and each waiting job's place (J1, design §3.3)."""

from collections.abc import Iterator
from itertools import zip_longest
from typing import Any

import msgspec

from nanobana.keyspace.keys import CanvasKeys, FamilyKeys, canvas_index, shard_of
from nanobana.protocol.jobs import Hint, JobSpec, JobTicket
from nanobana_server.store import Store

UNSENT = ""
LANES = ("live", "batch")

LOOKED_AT = 1000
"""Tickets that `queue_places` looks at."""

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
    ticket = JobTicket(canvas=spec.canvas, job=spec.job, user=spec.user, lane=spec.edit.lane, front=spec.edit.front)
    entry = await store.client.call("XADD", keys.stream(spec.edit.lane), "*", "m", msgspec.msgpack.encode(ticket))
    await store.client.run("mark_sent", [CanvasKeys(spec.canvas).open_jobs], [spec.job, entry, instead_of])


async def foretell(store: Store, hint: Hint, family: FamilyKeys | None = None) -> None:
    """Tell the engines of an edit that may come: one that is idle prepares for it (E9).

    Raises:
        Unavailable: nobody was told.
    """
    await store.client.call("SPUBLISH", (family or FamilyKeys()).hints, msgspec.msgpack.encode(hint))


async def is_queued(store: Store, spec: JobSpec, entry: str, family: FamilyKeys | None = None) -> bool:
    """Whether the ticket is still on the stream: an engine deletes it after it handed in the result."""
    stream = (family or FamilyKeys()).stream(spec.edit.lane)
    return bool(await store.client.call("XRANGE", stream, entry, entry))


async def queue_places(store: Store, family: FamilyKeys | None = None) -> dict[str, int]:
    """Job ID → place of every ticket that no engine has taken yet: 1 is next, live before batch, users in turn (E7).

    Jobs that an engine has taken are left out: their place is 0.
    """
    keys = family or FamilyKeys()
    waiting, turns, read = await store.client.pipeline(
        [
            ("ZRANGE", keys.waiting, 0, LOOKED_AT),
            ("ZRANGE", keys.turns, 0, LOOKED_AT),
            ("HMGET", keys.desk, *LANES),
        ]
    )
    users: dict[str, list[str]] = {key.decode(): [] for key in turns}
    for member in waiting:
        lane, user, _entry, job = member.decode().split("/", 3)
        users.setdefault(f"{lane}/{user}", []).append(job)
    for lane, newest in zip(LANES, read, strict=True):
        after = f"({newest.decode()}" if newest else "-"
        for _entry, fields in entries_of(
            await store.client.call("XRANGE", keys.stream(lane), after, "+", "COUNT", LOOKED_AT)
        ):
            ticket = _ticket.decode(fields[b"m"])
            queue = users.setdefault(f"{lane}/{ticket.user}", [])
            queue.insert(0 if ticket.front else len(queue), ticket.job)
    places: dict[str, int] = {}
    for lane in LANES:
        queues = [found for user, found in users.items() if user.startswith(f"{lane}/")]
        for job in (job for round_ in zip_longest(*queues) for job in round_ if job):
            places.setdefault(job, len(places) + 1)
    return places


async def queue_age_s(store: Store, family: FamilyKeys | None = None) -> float:
    """How long the oldest ticket waits that no engine has taken yet, in seconds; 0.0 where none does."""
    keys = family or FamilyKeys()
    waiting, read = await store.client.pipeline([("ZRANGE", keys.waiting, 0, LOOKED_AT), ("HMGET", keys.desk, *LANES)])
    sent_ms = [int(member.split(b"/")[2][1:].split(b"-")[0]) for member in waiting]
    for lane, newest in zip(LANES, read, strict=True):
        after = f"({newest.decode()}" if newest else "-"
        first = await store.client.call("XRANGE", keys.stream(lane), after, "+", "COUNT", 1)
        sent_ms += [int(entry.split("-")[0]) for entry, _ in entries_of(first)]
    return max(0.0, (await store.now_ms() - min(sent_ms)) / 1000) if sent_ms else 0.0


def entries_of(reply: Any) -> Iterator[tuple[str, dict[bytes, bytes]]]:
    """Entries of an XRANGE reply; deleted ones come without fields and are left out."""
    for entry, fields in reply or ():
        if fields:
            yield entry.decode(), fields
