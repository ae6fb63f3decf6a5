"""Edits for tests of the store: queued, taken by a worker, handed in, staged, in few words."""

from __future__ import annotations

from collections.abc import Mapping

import anyio
import msgspec

from nanobana.keyspace import claims
from nanobana.keyspace.blobs import put_blobs
from nanobana.keyspace.keys import RESULTS, FamilyKeys
from nanobana.protocol.canvas import Variation
from nanobana.protocol.geometry import Box
from nanobana.protocol.jobs import JobResult, JobTicket
from nanobana.protocol.parameters import Onto
from nanobana.raster.codec import encode_webp
from nanobana_server import jobs
from nanobana_server.jobs.results import stage
from nanobana_server.store import Store
from support.strokes import GREEN, Colour, Easel, author, flat

BOX = Box(40, 40, 140, 120)
LEASE_MS = 10_000


async def clean_queues(store: Store) -> None:
    """The streams belong to no canvas: each test of jobs starts with empty ones."""
    family = FamilyKeys()
    for key in (RESULTS, family.stream("live"), family.stream("batch"), family.waiting, family.turns, family.desk):
        await store.client.call("DEL", key)


async def queued(easel: Easel, user: str = "ana", box: Box = BOX, layer: str | None = None, onto: Onto = "auto") -> str:
    message = easel.edit(user, box, layer=layer, onto=onto)
    await jobs.submit(easel.store, easel.id, author(user), message)
    return f"{message.op.client}-{message.op.n}"


async def taken(easel: Easel, job: str, worker: str = "w1", lease_ms: int = LEASE_MS) -> claims.Claim:
    claim = await claims.claim(easel.store.client, easel.id, job, worker, lease_ms)
    assert isinstance(claim, claims.Claim)
    return claim


async def result_of(easel: Easel, job: str, attempt: int, box: Box = BOX, colour: Colour = GREEN) -> JobResult:
    blob = (await put_blobs(easel.store.client, easel.id, [encode_webp(flat(box, colour))]))[0]
    variations = [Variation(blob=blob, seed=1)]
    return JobResult(canvas=easel.id, job=job, attempt=attempt, worker="w1", box=box, variations=variations)


async def staged(easel: Easel, user: str = "ana", box: Box = BOX, layer: str | None = None, onto: Onto = "auto") -> str:
    job = await queued(easel, user, box, layer, onto)
    claim = await taken(easel, job)
    assert await stage(easel.store, await result_of(easel, job, claim.attempt, box)) is not None
    return job


async def all_acknowledged(store: Store) -> None:
    with anyio.fail_after(15):
        while await store.client.call("XLEN", RESULTS):  # noqa: ASYNC110 - the stream rings no bell
            await anyio.sleep(0.01)


async def states(easel: Easel) -> list[tuple[str, str]]:
    return [(change.job.id, change.job.state) for change in await easel.log() if change.job is not None]


async def tickets(store: Store, lane: str = "live") -> list[JobTicket]:
    entries = await store.client.call("XRANGE", FamilyKeys().stream(lane), "-", "+")
    return [msgspec.msgpack.decode(fields[b"m"], type=JobTicket) for _entry, fields in entries]


def numbers(places: Mapping[str, jobs.Place]) -> dict[str, int]:
    """Of the jobs that wait, their places alone."""
    return {job: place.number for job, place in places.items()}
