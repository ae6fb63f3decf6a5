"""Results: any server takes one and stages it, or refuses it as late or duplicate, then acknowledges (J2, J3)."""

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import anyio
import msgspec
import structlog
from redis.exceptions import ResponseError

from nanobana.keyspace.client import BLOCK_MS
from nanobana.keyspace.keys import RESULT_GROUP, RESULTS
from nanobana.protocol.canvas import Cost, Job, OpId
from nanobana.protocol.errors import Conflict, NanobanaError, NotFound, Unavailable
from nanobana.protocol.jobs import JobResult
from nanobana.protocol.trace import trace_of
from nanobana_server.jobs import live
from nanobana_server.jobs.queue import entries_of
from nanobana_server.jobs.records import KEPT_STATES, read_job
from nanobana_server.store import Store
from nanobana_server.store.types import Commit, Committed, JobWrite, job_client

TAKE_OVER_MS = 10_000
PER_READ = 16
ACKNOWLEDGED_AFTER_S = 0.01
"""Behind the change of the canvas: everybody's reading of it does not wait until this is on the disk."""
COUNTED = 1000
"""Results that are looked through for such as were taken before the clock jumped back; servers hold a few."""

BACK_OFF_S = (0.05, 0.2, 0.5, 1.0, 2.0)

_result = msgspec.msgpack.Decoder(JobResult)
_log = structlog.get_logger("nanobana.jobs")


async def run_results(
    store: Store,
    server: str,
    take_over_ms: int = TAKE_OVER_MS,
    staged: Callable[[Cost], None] = lambda _: None,
) -> None:
    """Take results for ever, together with the other servers; an absent store is waited for.

    Args:
        server: this server's ID, the same after a restart or not: what an earlier one left is taken over.
        take_over_ms: what another took and did not acknowledge for so long is taken from it.
        staged: is told what an edit recomputed, once for each result that was staged here.
    """
    failures = 0
    while True:
        try:
            await _ensure_group(store)
            await _drain(
                store, server, "0", BLOCK_MS, staged
            )  # taken by us, not acknowledged before the connection was lost
            while True:
                await _take_over(store, server, take_over_ms, staged)
                await _drain(store, server, ">", min(BLOCK_MS, take_over_ms), staged)
                failures = 0
        except Unavailable as error:
            _log.warning("results not readable", code=error.code)
            await anyio.sleep(BACK_OFF_S[min(failures, len(BACK_OFF_S) - 1)])
            failures += 1
        except ResponseError as error:
            if not str(error).startswith("NOGROUP"):  # the stream was lost and is made again
                raise


async def stage(store: Store, result: JobResult) -> Committed | None:
    """Write a result into its canvas as a durable change of the job's state; None if it came too late (J2).

    Raises:
        Unavailable: not done; take it again later.
    """
    try:
        kept = await read_job(store, result.canvas, result.job)
    except NotFound:  # the job or the whole canvas was deleted
        return None
    if kept.state not in KEPT_STATES or kept.attempt != result.attempt:
        return None
    try:
        return await _write(store, result, _staged(kept.job, result), 1)
    except NotFound as error:
        if error.code != "missing_blob":
            return None
        lost = _failed(kept.job, "result_lost", "The result's pixels were lost on the way. Generate it again.")
        return await _write(store, result, lost, 2)


async def _write(store: Store, result: JobResult, job: Job, k: int) -> Committed | None:
    commit = Commit(
        op=OpId(job_client(result.job), result.attempt * 10 + k),
        user=job.user,
        kind="edit",
        job=JobWrite(job=job, expect=KEPT_STATES, attempt=result.attempt),
        also=await live.replaced(store, result.canvas, job) if job.state == "staged" else (),
        over_budget=True,
    )
    try:
        return await store.commit(result.canvas, commit)
    except Conflict:  # decided meanwhile, or a newer attempt has it
        return None


def _staged(job: Job, result: JobResult) -> Job:
    job = msgspec.structs.replace(
        job,
        model=result.model or job.model,
        timing=result.timing,
        cost=result.cost,
        understood=result.understood,
        notice=result.notice,
    )
    if result.error_code or result.box is None or not result.variations:
        code = result.error_code or "no_result"
        return _failed(job, code, result.error or "The engine gave no result. Try again.")
    return msgspec.structs.replace(job, state="staged", result_box=result.box, results=result.variations)


def _failed(job: Job, code: str, sentence: str) -> Job:
    return msgspec.structs.replace(job, state="failed", error_code=code, error=sentence)


async def _drain(store: Store, server: str, after: str, block_ms: int, staged: Callable[[Cost], None]) -> None:
    """Take and handle one read's worth; all of our own pending ones for after="0"."""
    while True:
        reply = await store.client.call(
            "XREADGROUP", "GROUP", RESULT_GROUP, server, "COUNT", PER_READ, "BLOCK", block_ms, "STREAMS", RESULTS, after
        )
        entries = list(_of_stream(reply))
        await _handle_all(store, entries, staged)
        if after == ">" or not entries:
            return


async def _take_over(store: Store, server: str, after_ms: int, staged: Callable[[Cost], None]) -> None:
    await store.client.run("count_anew", [RESULTS], [RESULT_GROUP, COUNTED])
    reply = await store.client.call("XAUTOCLAIM", RESULTS, RESULT_GROUP, server, after_ms, "0-0", "COUNT", PER_READ)
    await _handle_all(store, list(entries_of(reply[1])), staged)


async def _handle_all(
    store: Store, entries: Sequence[tuple[str, dict[bytes, bytes]]], staged: Callable[[Cost], None]
) -> None:
    """Handle some, then acknowledge them; what was handled and not acknowledged comes again, and is refused then."""
    for entry, fields in entries:
        await _handle(store, entry, fields, staged)
    if entries:
        await anyio.sleep(ACKNOWLEDGED_AFTER_S)
        done = [entry for entry, _ in entries]
        await store.client.pipeline([("XACK", RESULTS, RESULT_GROUP, *done), ("XDEL", RESULTS, *done)])


async def _handle(store: Store, entry: str, fields: dict[bytes, bytes], staged: Callable[[Cost], None]) -> None:
    try:
        result = _result.decode(fields[b"m"])
    except (msgspec.DecodeError, KeyError):
        _log.error("result not understood", entry=entry)
    else:
        began = time.monotonic()
        try:
            done = await stage(store, result)
        except Unavailable:
            raise
        except (NanobanaError, msgspec.MsgspecError) as error:  # acknowledged all the same: it would come back for ever
            done = None
            _log.error("result refused", canvas=result.canvas, job=result.job, reason=str(error))
        if done is not None and result.cost is not None:
            staged(result.cost)
        _log.info(
            "result staged" if done is not None else "result came too late",
            trace=trace_of(result.job),
            canvas=result.canvas,
            job=result.job,
            attempt=result.attempt,
            ms=round((time.monotonic() - began) * 1000, 1),
            seq=done.seq if done is not None else None,
            error_code=result.error_code,
        )


async def _ensure_group(store: Store) -> None:
    try:
        await store.client.call("XGROUP", "CREATE", RESULTS, RESULT_GROUP, "0", "MKSTREAM")
    except ResponseError as error:
        if not str(error).startswith("BUSYGROUP"):
            raise


def _of_stream(reply: Any) -> Iterator[tuple[str, dict[bytes, bytes]]]:
    """Entries of an XREADGROUP reply over one stream, as redis-py shapes it under RESP3."""
    for batches in (reply or {}).values():
        for batch in batches:
            yield from entries_of(batch)
