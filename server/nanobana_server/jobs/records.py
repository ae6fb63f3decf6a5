"""Reading a job's record in its canvas's slot."""

import msgspec

from nanobana.keyspace.keys import CanvasKeys
from nanobana.protocol.canvas import Job
from nanobana.protocol.errors import NotFound
from nanobana.protocol.jobs import JobSpec
from nanobana_server.store import Store

_job = msgspec.msgpack.Decoder(Job)
_spec = msgspec.msgpack.Decoder(JobSpec)

KEPT_STATES = ("queued", "running")
"""States in which an engine may still be working on the job."""


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """A job's record; `state` is the truth, `job.state` says queued while an engine is running it."""

    job: Job
    spec: JobSpec
    state: str
    attempt: int
    lease_until: int
    """Ms by the store's clock; 0 before the first claim."""
    updated_ms: int


async def read_job(store: Store, canvas: str, job: str) -> Kept:
    """The record of a job. Raises NotFound ``no_job``."""
    fields = ("public", "spec", "state", "attempt", "lease_until", "updated_ms")
    found = await store.client.call("HMGET", CanvasKeys(canvas).job(job), *fields)
    public, spec, state, attempt, lease_until, updated_ms = found
    if public is None or spec is None:
        raise NotFound("There is no such edit on this canvas.", code="no_job")
    return Kept(
        job=_job.decode(public),
        spec=_spec.decode(spec),
        state=state.decode(),
        attempt=int(attempt),
        lease_until=int(lease_until),
        updated_ms=int(updated_ms),
    )


async def open_jobs(store: Store, canvas: str) -> list[Job]:
    """Every job that is not in a terminal state, in no order."""
    return [_job.decode(public) for public in await store.client.call("HVALS", CanvasKeys(canvas).public_jobs)]
