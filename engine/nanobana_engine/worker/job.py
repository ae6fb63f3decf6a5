"""One job from claim to result: prepare, run, preview, hand in; stopped at any point by its lease (J2, E8)."""

from __future__ import annotations

import logging
import time
from contextlib import aclosing, suppress
from dataclasses import dataclass, replace
from functools import partial

import anyio
import msgspec
from anyio import CapacityLimiter, to_thread
from anyio.abc import TaskGroup

from nanobana.keyspace.claims import Claim, Order, hand_in
from nanobana.keyspace.client import Client
from nanobana.protocol.canvas import Timing
from nanobana.protocol.errors import NanobanaError, NotFound, Unavailable
from nanobana.protocol.jobs import JobResult
from nanobana.protocol.trace import trace_of
from nanobana_engine.engine import EditFailed, EditFinished
from nanobana_engine.engine.source import Source
from nanobana_engine.erase.eraser import Eraser
from nanobana_engine.language import Interpreter, Reading
from nanobana_engine.worker.ahead import Region, region_of
from nanobana_engine.worker.bridge import Bridge
from nanobana_engine.worker.lease import Lease
from nanobana_engine.worker.offer import Offer
from nanobana_engine.worker.outcome import Outcome
from nanobana_engine.worker.patience import BackOff, patiently
from nanobana_engine.worker.prepare import Preparer
from nanobana_engine.worker.previews import Previews
from nanobana_engine.worker.readying import Readying
from nanobana_engine.worker.turnstile import Turnstile

log = logging.getLogger(__name__)

FIRST_ALONE = 2
"""From this attempt on a job runs without company: an earlier one ended without a result."""
LAST_ATTEMPT = 4
"""One in company and three alone; then it is given up (E8)."""


@dataclass(frozen=True, slots=True)
class Tools:
    """What all jobs of a worker share."""

    client: Client
    worker: str
    preparer: Preparer
    bridge: Bridge
    eraser: Eraser
    interpreter: Interpreter
    offer: Offer
    threads: CapacityLimiter
    turnstile: Turnstile
    """Before the threads that read and plan."""
    readying: Readying
    """Does for an edit, while others run, what needs no model."""
    lease_ms: int
    beat_s: float

    def check_integrity(self) -> None:
        """Nothing of a job is left once none runs."""
        self.bridge.check_integrity()
        self.turnstile.check_integrity()
        self.readying.check_integrity()


class JobRun:
    """One claimed job. `run` returns whether the ticket is to be acknowledged."""

    def __init__(self, tools: Tools, claim: Claim) -> None:
        spec = claim.spec
        self._tools = tools
        self._claim = claim
        self._spec = spec
        self.lease = Lease(
            tools.client, spec.canvas, spec.job, claim.attempt, lease_ms=tools.lease_ms, beat_s=tools.beat_s
        )
        self._previews = Previews(tools.client, tools.worker, spec.canvas, spec.job, tools.threads)
        self._stopped: Order | None = None
        self._reading = Reading(spec.edit)
        self._began = time.perf_counter()

    @property
    def region(self) -> Region:
        """What it works on."""
        return region_of(self._spec)

    async def run(self) -> bool:
        """Do it; exactly one result is handed in unless the lease was lost or the job was stopped."""
        async with anyio.create_task_group() as tasks:

            def stopped(order: Order) -> None:
                self._stopped = order
                tasks.cancel_scope.cancel()

            tasks.start_soon(self.lease.keep, stopped)
            tasks.start_soon(self.lease.listen)
            tasks.start_soon(self._previews.run)
            tasks.start_soon(self._previews.say_running)
            with self._tools.readying.in_hand(self._spec.user):
                await self._work(tasks)
            tasks.cancel_scope.cancel()
        if self._stopped is not None:
            log.info("job stopped", extra=self._facts(why=self._stopped))
        # stale: another worker may have the ticket by now, and needs it to stay pending
        return self._stopped != "stale"

    async def _work(self, tasks: TaskGroup) -> None:
        spec, attempt = self._spec, self._claim.attempt
        waited_ms = max(0.0, time.time() * 1000.0 - spec.created_ms)
        log.info("job claimed", extra=self._facts(ms=round(waited_ms, 1), mode=spec.edit.mode, attempt=attempt))
        if attempt > LAST_ATTEMPT:
            await self._failed("engine_died", "The engine died three times at this edit. Nothing was changed.")
            return
        try:
            await self._tried(tasks)
        except NotFound as error:
            if error.code != "no_canvas":  # a deleted canvas needs no result
                await self._failed(error.code, error.message)
        except NanobanaError as error:
            await self._failed(error.code, error.message)
        except Exception:
            log.exception("job failed", extra=self._facts())
            await self._failed("engine_error", "The engine failed at this edit. Nothing was changed; try again.")

    async def _tried(self, tasks: TaskGroup) -> None:
        self._reading = await self._read()
        source = await self._prepared()
        if self._spec.edit.mode != "erase" and (self._tools.bridge.is_busy or self._tools.readying.is_used):
            await self._made_ready(source)
        read_s = time.perf_counter() - self._began
        self._previews.begin(source.plan)
        outcome = Outcome(self._tools.client, self.lease, source, self._tools.threads)
        tasks.start_soon(outcome.run)
        end = await (self._erased(source) if self._spec.edit.mode == "erase" else self._filled(source, outcome))
        if isinstance(end, EditFailed):
            await self._failed(end.code, end.message)
            return

        def tell(name: str, patch: bytes) -> None:
            tasks.start_soon(self._previews.say_done, name, patch)

        variations = await outcome.finish(end, tell)
        timing = self._timing(end, read_s=read_s, patch_s=outcome.patch_s)
        self._tools.offer.took(source.model, timing.total_ms / 1000.0)
        await self._hand_in(
            JobResult(
                canvas=self._spec.canvas,
                job=self._spec.job,
                attempt=self._claim.attempt,
                worker=self._tools.worker,
                box=source.plan.result,
                variations=variations,
                timing=timing,
                cost=end.cost,
                model="" if self._spec.edit.mode == "erase" else source.model,
                understood=self._reading.understood,
                notice=self._reading.notice,
            )
        )

    async def _read(self) -> Reading:
        interpreter, edit = self._tools.interpreter, self._spec.edit
        preset = self._tools.preparer.preset_of(edit)
        if not interpreter.may_take_long(preset):
            return interpreter.read(edit, preset)
        # abandoned where the edit is cancelled: a translation changes nothing but what is remembered (E8)
        return await to_thread.run_sync(
            interpreter.read, edit, preset, abandon_on_cancel=True, limiter=self._tools.threads
        )

    async def _prepared(self) -> Source:
        back_off = BackOff()
        spec = msgspec.structs.replace(self._spec, edit=self._reading.edit)
        while True:
            try:
                async with self._tools.turnstile.turn(self._spec.user):
                    return await self._tools.preparer.source(spec, alone=self._claim.attempt >= FIRST_ALONE)
            except Unavailable:
                await back_off.wait()

    async def _made_ready(self, source: Source) -> None:
        """What the model's thread would do between the others' steps is done beside them; whose turn it is goes round.

        With nobody else there it is the model's thread that does it, after the first look has been shown.
        """
        with suppress(NanobanaError):  # the edit itself will say so
            await self._tools.readying.run(self._spec.user, partial(self._tools.bridge.engine.prepare, source))

    async def _filled(self, source: Source, outcome: Outcome) -> EditFinished | EditFailed:
        with self._tools.bridge.submit(source, self._previews.show, outcome.add) as ended:
            return await ended.wait()

    async def _erased(self, source: Source) -> EditFinished:
        began = time.perf_counter()
        async with aclosing(self._tools.eraser.run(source)) as events:
            async for event in events:
                if isinstance(event, EditFinished):
                    return replace(event, model_ms=(time.perf_counter() - began) * 1000.0)
                self._previews.show(event)
        raise NanobanaError("Erasing ended without a result. Nothing was changed.", code="erase_failed")

    async def _failed(self, code: str, message: str) -> None:
        log.info("job failed", extra=self._facts(error_code=code))
        await self._hand_in(
            JobResult(
                canvas=self._spec.canvas,
                job=self._spec.job,
                attempt=self._claim.attempt,
                worker=self._tools.worker,
                error_code=code,
                error=message,
                understood=self._reading.understood,
                notice=self._reading.notice,
            )
        )

    async def _hand_in(self, result: JobResult) -> None:
        """The fence decides at the server; this only spares it results that are known to be late."""
        order = await patiently(self.lease.extend)
        if order != "go":
            self._stopped = order
            return
        await patiently(lambda: hand_in(self._tools.client, result))
        took_ms = round((time.perf_counter() - self._began) * 1000.0, 1)
        parts = {} if result.timing is None else _rounded(result.timing)
        log.info("job handed in", extra=self._facts(ms=took_ms, **parts))

    def _facts(self, **more: object) -> dict[str, object]:
        """Fields of every line about the job; no prompt among them."""
        return {"trace": trace_of(self._spec.job), "canvas": self._spec.canvas, "job": self._spec.job, **more}

    def _timing(self, end: EditFinished, *, read_s: float, patch_s: float) -> Timing:
        total_ms = (time.perf_counter() - self._began) * 1000.0
        waited = time.time() * 1000.0 - total_ms - self._spec.created_ms
        return Timing(
            wait_ms=max(0.0, waited),
            read_ms=read_s * 1000.0,
            condition_ms=end.condition_ms,
            model_ms=end.model_ms,
            patch_ms=patch_s * 1000.0,
            total_ms=total_ms,
        )


def _rounded(timing: Timing) -> dict[str, float]:
    """Where the time went, without what is logged as ``ms`` already."""
    parts = msgspec.structs.asdict(timing)
    return {name: round(value, 1) for name, value in parts.items() if name != "total_ms"}
