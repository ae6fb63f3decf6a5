"""The engines' queue: a job's ticket, its note in the outbox, and each waiting job's place (J1, design §3.3)."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest
from math import ceil
from typing import Any, NamedTuple

import msgspec

from nanobana.keyspace.keys import JOB_GROUP, CanvasKeys, FamilyKeys, canvas_index, model_of, queue_of, shard_of
from nanobana.protocol.jobs import Foretold, JobSpec, JobTicket
from nanobana_server.jobs.served import look
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
    ticket = JobTicket(
        canvas=spec.canvas,
        job=spec.job,
        user=spec.user,
        lane=spec.edit.lane,
        front=spec.edit.front,
        model=spec.edit.model or "",
    )
    entry = await store.client.call("XADD", keys.stream(spec.edit.lane), "*", "m", msgspec.msgpack.encode(ticket))
    await store.client.run("mark_sent", [CanvasKeys(spec.canvas).open_jobs], [spec.job, entry, instead_of])


async def foretell(store: Store, hint: Foretold, family: FamilyKeys | None = None) -> None:
    """Tell the engines of an edit that may come: one that is idle prepares for it (E9, E10).

    Raises:
        Unavailable: nobody was told.
    """
    await store.client.call("SPUBLISH", (family or FamilyKeys()).hints, msgspec.msgpack.encode(hint))


async def is_queued(store: Store, spec: JobSpec, entry: str, family: FamilyKeys | None = None) -> bool:
    """Whether the ticket is still on the stream: an engine deletes it after it handed in the result."""
    stream = (family or FamilyKeys()).stream(spec.edit.lane)
    return bool(await store.client.call("XRANGE", stream, entry, entry))


async def withdraw(store: Store, spec: JobSpec, entry: str, family: FamilyKeys | None = None) -> None:
    """Take the ticket of a job that is over off the stream, where no engine would come to find that out."""
    keys, edit = family or FamilyKeys(), spec.edit
    ms, _, n = entry.partition("-")
    queue = f"{edit.lane}/{queue_of(edit.model or '')}/{spec.user}"
    filed = f"{queue}/{int(not edit.front)}{ms:0>16}-{n:0>6}/{spec.job}"
    await store.client.pipeline(
        [
            ("XACK", keys.stream(edit.lane), JOB_GROUP, entry),
            ("XDEL", keys.stream(edit.lane), entry),
            ("ZREM", keys.waiting, filed),
        ]
    )


@dataclass(frozen=True, slots=True)
class Place:
    """Where a ticket stands that no engine has taken yet."""

    number: int
    """1 is next: tickets of models that share no engine with its own are not counted."""
    wait_s: float
    """About how long until an engine takes it, in whole seconds; 0 where nobody can say."""


async def queue_places(store: Store, family: FamilyKeys | None = None) -> dict[str, Place]:
    """By job the place of every ticket that no engine has taken yet: live before batch, users in turn (E7, J1)."""
    keys = family or FamilyKeys()
    served = await look(store, keys)
    queues = await _queues(store, keys)
    places: dict[str, Place] = {}
    ahead: Counter[str] = Counter()
    """Of each model's queue, the tickets so far."""
    for lane in LANES:
        own = [queue for name, queue in queues.items() if name.startswith(f"{lane}/")]
        for waiting in (each for round_ in zip_longest(*own) for each in round_ if each):
            if waiting.job in places:
                continue
            competing = sum(count for model, count in ahead.items() if served.share_an_engine(waiting.model, model))
            rate = served.edits_per_s(waiting.model)
            places[waiting.job] = Place(competing + 1, float(ceil((competing + 1) / rate)) if rate else 0.0)
            ahead[waiting.model] += 1
    return places


class _Waiting(NamedTuple):
    job: str
    model: str


async def _queues(store: Store, keys: FamilyKeys) -> dict[str, list[_Waiting]]:
    """By ``{lane}/{user}``, whose turn it is first, what waits: filed by engines, or still on the streams."""
    waiting, turns, read = await store.client.pipeline(
        [
            ("ZRANGE", keys.waiting, 0, LOOKED_AT),
            ("ZRANGE", keys.turns, 0, LOOKED_AT),
            ("HMGET", keys.desk, *LANES),
        ]
    )
    filed: dict[str, list[_Waiting]] = {}
    for member in waiting:
        lane, model, user, _entry, job = member.decode().split("/", 4)
        filed.setdefault(f"{lane}/{model}/{user}", []).append(_Waiting(job, model_of(model)))
    queues: dict[str, list[_Waiting]] = {}
    for turn in turns:  # several models of one user stand together, as that user's turn is one
        lane, model, user = turn.decode().split("/", 2)
        queues.setdefault(f"{lane}/{user}", []).extend(filed.get(f"{lane}/{model}/{user}", ()))
    for lane, newest in zip(LANES, read, strict=True):
        after = f"({newest.decode()}" if newest else "-"
        for _entry, fields in entries_of(
            await store.client.call("XRANGE", keys.stream(lane), after, "+", "COUNT", LOOKED_AT)
        ):
            ticket = _ticket.decode(fields[b"m"])
            queue = queues.setdefault(f"{lane}/{ticket.user}", [])
            queue.insert(0 if ticket.front else len(queue), _Waiting(ticket.job, ticket.model))
    return queues


async def queue_age_s(store: Store, family: FamilyKeys | None = None) -> float:
    """How long the oldest ticket waits that no engine has taken yet, in seconds; 0.0 where none does."""
    keys = family or FamilyKeys()
    waiting, read = await store.client.pipeline([("ZRANGE", keys.waiting, 0, LOOKED_AT), ("HMGET", keys.desk, *LANES)])
    sent_ms = [int(member.split(b"/")[3][1:].split(b"-")[0]) for member in waiting]
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
