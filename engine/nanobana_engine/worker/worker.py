"""The worker's loops: take tickets, run their jobs at the same time, take over from the dead, beat, drain (J1–J4)."""

from __future__ import annotations

import logging
import os
import socket
from contextlib import nullcontext
from dataclasses import dataclass

import anyio
import anyio.abc
from anyio import to_thread

from nanobana.keyspace.claims import Claim, Done, Leased, beat, claim, leave
from nanobana.keyspace.client import BLOCK_MS, Client
from nanobana.keyspace.keys import FamilyKeys
from nanobana.protocol.errors import NanobanaError, Unavailable
from nanobana.protocol.jobs import EngineBeat
from nanobana.protocol.trace import trace_of
from nanobana_engine.integrity import Integrity
from nanobana_engine.worker.ahead import Ahead
from nanobana_engine.worker.intake import Delivery, Intake
from nanobana_engine.worker.job import JobRun, Tools
from nanobana_engine.worker.patience import BackOff, patiently
from nanobana_engine.worker.settings import WorkerSettings
from nanobana_engine.worker.turnover import Turnover

log = logging.getLogger(__name__)

TAKEOVER_S = 0.5
"""Between two looks at what dead engines left, at the most."""


@dataclass(slots=True)
class _Held:
    """A ticket in hand."""

    delivery: Delivery
    run: JobRun | None = None
    """None until it is claimed."""


class Worker:
    """Runs until `drain` is set and everything in hand is done or given back."""

    def __init__(
        self,
        client: Client,
        settings: WorkerSettings,
        tools: Tools,
        device: str,
        ahead: Ahead | None = None,
    ) -> None:
        self._client = client
        self._settings = settings
        self._tools = tools
        self._device = device
        self._ahead = ahead
        self._family = FamilyKeys(settings.family)
        self._intake = Intake(
            client,
            self._family,
            settings.worker,
            tools.offer.in_memory,
            slots=settings.at_once,
            most=settings.at_most,
            dead_ms=settings.lease_ms,
            left_ms=settings.lease_ms // 2,
        )
        self._in_hand: dict[str, _Held] = {}
        self._turnover = Turnover(settings.at_once)
        self._look = anyio.Event()
        """Set when there may be a ticket to take: one came, or one was done."""
        self.draining = anyio.Event()
        self.integrity = Integrity()
        """Proven whenever no ticket is in hand; parts that live on this event loop add their checks before `run`."""
        self.integrity.add("worker", self._check_integrity)

    async def run(self) -> None:
        """Take part, for as long as it is not draining."""
        await patiently(self._say_alive)
        async with anyio.create_task_group() as beating:
            beating.start_soon(self._beat)
            async with anyio.create_task_group() as jobs:
                async with anyio.create_task_group() as taking:
                    taking.start_soon(self._take, jobs)
                    taking.start_soon(self._listen)
                    await self.draining.wait()
                    taking.cancel_scope.cancel()
                await self._take_no_more()
                with anyio.move_on_after(self._settings.drain_s):
                    while self._in_hand:
                        await self._looking()
                runs = [held.run for held in self._in_hand.values() if held.run]
                jobs.cancel_scope.cancel()
            await self._give_back(runs)
            beating.cancel_scope.cancel()
        await self._say_goodbye()

    async def _take(self, jobs: anyio.abc.TaskGroup) -> None:
        """One ticket after the other, for as long as there is one that this engine should take."""
        back_off, looked_at = BackOff(), -TAKEOVER_S
        while True:
            now = anyio.current_time()
            is_due = now - looked_at >= TAKEOVER_S
            try:
                in_hand = [held.delivery for held in self._in_hand.values()]
                delivery = await self._intake.take(in_hand, look=is_due)
            except Unavailable:
                await back_off.wait()
                continue
            back_off.reset()
            looked_at = now if is_due else looked_at
            if delivery is None:
                with anyio.move_on_after(TAKEOVER_S):
                    await self._looking()
            elif delivery.key not in self._in_hand:
                self._in_hand[delivery.key] = _Held(delivery)
                jobs.start_soon(self._job, delivery)

    async def _listen(self) -> None:
        """Look again whenever a ticket came."""
        back_off = BackOff()
        while True:
            try:
                if await self._intake.listen(BLOCK_MS):
                    self._look.set()
                back_off.reset()
            except Unavailable:
                await back_off.wait()

    async def _looking(self) -> None:
        await self._look.wait()
        self._look = anyio.Event()

    async def _job(self, delivery: Delivery) -> None:
        """Everything about one ticket; nothing that goes wrong here reaches the other jobs."""
        try:
            run = await self._claimed(delivery)
            is_over = True
            if isinstance(run, Leased):
                return  # it stays pending, and waits again after a while
            if run is not None:
                self._in_hand[delivery.key].run = run
                with nullcontext() if self._ahead is None else self._ahead.busy(run.region):
                    is_over = await run.run()
            if is_over:
                await patiently(lambda: self._intake.acknowledge(delivery))
        except Exception:
            log.exception("ticket %s could not be worked on", delivery.entry)
        finally:
            self._turnover.ended(len(self._in_hand), anyio.current_time())
            self._in_hand.pop(delivery.key, None)
            self._look.set()
            if not self._in_hand:
                self.integrity.report()

    async def _claimed(self, delivery: Delivery) -> JobRun | Leased | None:
        """The job, claimed; None where there is nothing left to do."""
        ticket, settings = delivery.ticket, self._settings

        async def ask() -> Claim | Leased | Done:
            return await claim(self._client, ticket.canvas, ticket.job, settings.worker, settings.lease_ms)

        answer = await patiently(ask)
        if isinstance(answer, Leased):
            await anyio.sleep(answer.left_ms / 1000.0)  # a dead holder's lease has run out then
            answer = await patiently(ask)
        if isinstance(answer, Claim):
            return JobRun(self._tools, answer)
        return answer if isinstance(answer, Leased) else None

    async def _beat(self) -> None:
        while True:
            await anyio.sleep(self._settings.beat_s)
            try:
                await self._say_alive()
            except Unavailable:
                log.warning("the store is away; going on")

    async def _say_alive(self) -> None:
        models = await to_thread.run_sync(self._tools.offer.now)
        state = EngineBeat(
            worker=self._settings.worker,
            model=models[0].name,
            device=self._device,
            running=len(self._in_hand),
            pid=os.getpid(),
            host=socket.gethostname(),
            draining=self.draining.is_set(),
            models=models,
            each_s=self._turnover.each_s,
        )
        await beat(self._client, self._family, state)

    def _check_integrity(self) -> None:
        """No job is left anywhere once no ticket is in hand."""
        if self._in_hand:
            raise AssertionError(f"tickets in hand: {sorted(self._in_hand)}")
        self._tools.check_integrity()

    async def _take_no_more(self) -> None:
        with anyio.move_on_after(2.0):
            try:
                await self._intake.close()
            except NanobanaError:
                return

    async def _give_back(self, runs: list[JobRun]) -> None:
        """Jobs that did not finish in time: another worker may claim them at once."""
        with anyio.move_on_after(2.0):
            for run in runs:
                try:
                    await run.lease.give_back()
                    log.info("job given back", extra={"trace": trace_of(run.lease.job), "job": run.lease.job})
                except NanobanaError:
                    return

    async def _say_goodbye(self) -> None:
        with anyio.move_on_after(2.0):
            try:
                await self._intake.leave()
                await leave(self._client, self._family, self._settings.worker)
            except NanobanaError:
                return
