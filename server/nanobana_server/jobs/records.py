"""A job's record in its canvas's slot: reading it, and noting an acceptance that takes several ops."""

import msgspec

from nanobana.keyspace.keys import CanvasKeys
from nanobana.protocol.canvas import Job, Layer, OpId
from nanobana.protocol.errors import NotFound
from nanobana.protocol.geometry import Box
from nanobana.protocol.jobs import JobSpec
from nanobana_server.store import Store
from nanobana_server.store.ops.laying import OP_SIDE

_job = msgspec.msgpack.Decoder(Job)
_spec = msgspec.msgpack.Decoder(JobSpec)

KEPT_STATES = ("queued", "running")
"""States in which an engine may still be working on the job."""


class Accepting(msgspec.Struct, frozen=True, kw_only=True):
    """A decision that is being carried out in several ops: whoever comes by can finish it, each op once (J5, C3)."""

    op: OpId
    user: str
    """Who decided."""
    variation: int
    layer: Layer
    """Where every part goes, also when other layers came meanwhile."""
    inside: Box
    """The part of the result that lay on the canvas."""


_accepting = msgspec.msgpack.Decoder(Accepting)


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """A job's record; `state` is the truth, `job.state` says queued while an engine is running it."""

    job: Job
    spec: JobSpec
    state: str
    attempt: int
    lease_until: int
    """Ms by the store's clock; 0 before the first claim."""
    updated_ms: int
    accepting: Accepting | None = None

    @property
    def is_large(self) -> bool:
        """Its result may take several ops to be laid: what was begun is finished by somebody (C3)."""
        box = self.job.result_box
        return box is not None and max(box.width, box.height) > OP_SIDE


async def read_job(store: Store, canvas: str, job: str) -> Kept:
    """The record of a job. Raises NotFound ``no_job``."""
    fields = ("public", "spec", "state", "attempt", "lease_until", "updated_ms", "accepting")
    found = await store.client.call("HMGET", CanvasKeys(canvas).job(job), *fields)
    public, spec, state, attempt, lease_until, updated_ms, accepting = found
    if public is None or spec is None:
        raise NotFound("There is no such edit on this canvas.", code="no_job")
    return Kept(
        job=_job.decode(public),
        spec=_spec.decode(spec),
        state=state.decode(),
        attempt=int(attempt),
        lease_until=int(lease_until),
        updated_ms=int(updated_ms),
        accepting=_accepting.decode(accepting) if accepting else None,
    )


async def note_accepting(store: Store, canvas: str, job: str, wanted: Accepting) -> Accepting:
    """Write a decision down before its first op; returns the one that holds: the first (J5)."""
    key = CanvasKeys(canvas).job(job)
    await store.client.call("HSETNX", key, "accepting", msgspec.msgpack.encode(wanted))
    return _accepting.decode(await store.client.call("HGET", key, "accepting"))


async def open_jobs(store: Store, canvas: str) -> list[Job]:
    """Every job that is not in a terminal state, in no order."""
    return [_job.decode(public) for public in await store.client.call("HVALS", CanvasKeys(canvas).public_jobs)]
