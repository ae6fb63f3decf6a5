"""Live sessions: each newer edit takes the place of the one before, until its author decides (E7)."""

import msgspec

from nanobana.protocol.canvas import Job, JobState
from nanobana.protocol.parameters import EditParams
from nanobana_server.jobs.records import KEPT_STATES, open_jobs
from nanobana_server.store import Store
from nanobana_server.store.types import JobWrite


def drafted(params: EditParams) -> EditParams:
    """An edit of a session as it is run: soon there, one picture, before every batch edit."""
    if params.live is None:
        return params
    return msgspec.structs.replace(params, quality="draft", steps=None, detail=False, variations=1, lane="live")


def is_same(a: Job, b: Job) -> bool:
    """Whether two edits belong to one session; nobody can enter somebody else's."""
    return bool(a.live) and (a.user, a.live) == (b.user, b.live)


async def replaced(store: Store, canvas: str, job: Job) -> tuple[JobWrite, ...]:
    """The staged results whose place a result takes; they go with the op that stages it, so nobody sees a gap."""
    return await _others(store, canvas, job, "superseded", ("staged",))


async def ended(store: Store, canvas: str, job: Job) -> tuple[JobWrite, ...]:
    """What a session still has under way when its result is decided: no later one may come after the decision."""
    return await _others(store, canvas, job, "cancelled", KEPT_STATES)


async def _others(
    store: Store, canvas: str, job: Job, state: JobState, expect: tuple[str, ...]
) -> tuple[JobWrite, ...]:
    if not job.live:
        return ()
    others = [other for other in await open_jobs(store, canvas) if is_same(other, job) and other.id != job.id]
    return tuple(
        JobWrite(job=msgspec.structs.replace(other, state=state), expect=expect, soft=True) for other in others
    )
