"""The sweeper: sends what was never sent or was lost, ends what nobody decided or can make (design §3.3, §3.7)."""

import time
from collections.abc import Callable

import anyio
import msgspec
import structlog

from nanobana.keyspace import keys as names
from nanobana.keyspace.keys import CanvasKeys, canvas_index, shard_of
from nanobana.protocol.canvas import JobState, OpId
from nanobana.protocol.errors import Conflict, NanobanaError, NotFound, Unavailable
from nanobana.protocol.trace import trace_of
from nanobana_server.jobs.decide import carry_out
from nanobana_server.jobs.queue import UNSENT, is_queued, send, withdraw
from nanobana_server.jobs.records import KEPT_STATES, Accepting, Kept, read_job
from nanobana_server.jobs.served import Served, look
from nanobana_server.jobs.turn import take_turn
from nanobana_server.store import Store
from nanobana_server.store.types import Commit, JobWrite, LayerGone, job_client

EVERY_S = 1.0
UNSENT_MS = 1_000
"""An unsent job is left to the server that made it for so long."""

LOST_MS = 5_000
"""So long after a lease ended a job whose ticket is gone is sent again; its result may be under way until then."""

UNSERVED_S = 60.0
"""A model that no engine has served for so long, while others were there, is not waited for any longer."""

ABANDONED_MS = 5_000
"""An acceptance in several ops that made no step for so long is finished by the sweeper."""

JUMP_MS = 60_000
"""No lease ends so far in the future: the clock has jumped back since."""

STAGED_MS = 24 * 3600 * 1000
"""An undecided result expires after a day."""

_DECIDED = "-"
"""In the outbox in place of an entry: staged, nothing to send."""

_TURN = f"{names.PREFIX}:sweeper"

_log = structlog.get_logger("nanobana.jobs")


class Unserved:
    """Since when nobody serves a model, as this server sees it; while no engine is there at all nobody can say."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._since: dict[str, float] = {}
        self._served = Served(())

    def see(self, served: Served) -> None:
        """The engines that live now."""
        self._served = served
        is_known = served.count > 0 and not served.loading
        self._since = {model: at for model, at in self._since.items() if is_known and model not in served}

    def refusal(self, model: str | None) -> str | None:
        """Why an edit of this model is not waited for any longer, as a sentence; None: it may wait on."""
        served = self._served
        if not model or model in served or not served.count or served.loading:
            return None
        now = self._clock()
        return served.refusal(model) if now - self._since.setdefault(model, now) >= UNSERVED_S else None


async def run_sweeper(store: Store, every_s: float = EVERY_S) -> None:
    """Sweep for ever; of several servers one has the turn at a time."""
    unserved = Unserved()
    while True:
        try:
            if await take_turn(store, _TURN, max(1, int(every_s * 900))):
                unserved.see(await look(store))
                await sweep(store, unserved)
        except (NanobanaError, msgspec.MsgspecError) as error:
            _log.warning("sweep failed", reason=str(error))
        await anyio.sleep(every_s)


async def sweep(store: Store, unserved: Unserved) -> None:
    """Look through the outboxes of all canvases on the index once."""
    async for canvases in store.client.each([("SMEMBERS", canvas_index(shard)) for shard in range(names.SHARDS)]):
        for canvas in canvases:
            await sweep_canvas(store, canvas.decode(), unserved)


async def sweep_canvas(store: Store, canvas: str, unserved: Unserved | None = None) -> None:
    """Look through one canvas's outbox; an empty one leaves the index."""
    outbox = await store.client.call("HGETALL", CanvasKeys(canvas).open_jobs)
    if not outbox:
        await store.client.call("SREM", canvas_index(shard_of(canvas)), canvas)
        return
    now_ms = await store.now_ms()
    for job, entry in outbox.items():
        try:
            kept = await read_job(store, canvas, job.decode())
        except NotFound:
            await store.client.call("HDEL", CanvasKeys(canvas).open_jobs, job)
            continue
        why = unserved.refusal(kept.spec.edit.model) if unserved else None
        if why is not None and kept.state in KEPT_STATES and not 0 < kept.lease_until - now_ms < JUMP_MS:
            await _end(store, canvas, kept, "failed", "model_away", why)
            if entry != UNSENT.encode():
                await withdraw(store, kept.spec, entry.decode())
            continue
        await _sweep_job(store, canvas, kept, entry.decode(), now_ms)


async def _sweep_job(store: Store, canvas: str, kept: Kept, entry: str, now_ms: int) -> None:
    silent_ms = now_ms - max(kept.updated_ms, kept.lease_until)
    if silent_ms < -JUMP_MS:
        silent_ms = -silent_ms
    if kept.state == "staged" and kept.accepting is not None:
        if abs(now_ms - kept.updated_ms) > ABANDONED_MS:
            await _finish(store, canvas, kept, kept.accepting)
    elif kept.state == "staged":
        if now_ms - kept.updated_ms > STAGED_MS:
            await _expire(store, canvas, kept)
    elif kept.state not in KEPT_STATES or entry == _DECIDED:
        return
    elif entry == UNSENT:
        if silent_ms > UNSENT_MS:
            await send(store, kept.spec, instead_of=entry)
            _log.info("job sent by the sweeper", trace=trace_of(kept.job.id), canvas=canvas, job=kept.job.id)
    elif silent_ms > LOST_MS and not await is_queued(store, kept.spec, entry):
        await send(store, kept.spec, instead_of=entry)
        _log.warning(
            "lost job sent again", trace=trace_of(kept.job.id), canvas=canvas, job=kept.job.id, attempt=kept.attempt
        )


async def _finish(store: Store, canvas: str, kept: Kept, wanted: Accepting) -> None:
    """Carry an acceptance out whose server died in the middle; without its layer the result ends discarded (J5)."""
    try:
        await carry_out(store, canvas, kept.job, wanted)
    except LayerGone:
        await _end(
            store, canvas, kept, "discarded", "layer_gone", "Its layer was deleted while the result was being laid."
        )
    except Conflict:  # somebody finished it in this moment
        return
    _log.warning("acceptance finished by the sweeper", trace=trace_of(kept.job.id), canvas=canvas, job=kept.job.id)


async def _expire(store: Store, canvas: str, kept: Kept) -> None:
    await _end(store, canvas, kept, "discarded", "expired", "Nobody decided this result for a day.")


async def _end(store: Store, canvas: str, kept: Kept, state: JobState, code: str, sentence: str) -> None:
    """A job that waits or is staged comes to its end without anybody's doing; one that has left that state stays."""
    ended = msgspec.structs.replace(kept.job, state=state, error_code=code, error=sentence)
    commit = Commit(
        op=OpId(job_client(kept.job.id), kept.attempt * 10 + 9),
        user=kept.job.user,
        kind="edit",
        job=JobWrite(job=ended, expect=(kept.state,), attempt=kept.attempt),
        over_budget=True,
    )
    try:
        await store.commit(canvas, commit)
    except Unavailable:
        raise
    except Conflict:  # somebody decided in this moment
        return
