"""The worker's loops: take tickets, run their jobs at the same time, take over from the dead, beat, drain (J1–J4)."""

from __future__ import annotations

import logging
import os
import socket

import anyio
import anyio.abc

from nanobana.keyspace.claims import Claim, Done, Leased, beat, claim, leave
from nanobana.keyspace.client import BLOCK_MS, Client
from nanobana.keyspace.keys import FamilyKeys
from nanobana.protocol.errors import NanobanaError, Unavailable
from nanobana.protocol.jobs import EngineBeat
from nanobana_engine.worker.intake import Delivery, Intake
from nanobana_engine.worker.job import JobRun, Tools
from nanobana_engine.worker.patience import BackOff, patiently
from nanobana_engine.worker.settings import WorkerSettings

log = logging.getLogger(__name__)

TAKEOVER_S = 0.5
"""Between two looks at what other workers left behind."""


class Worker:
    """Runs until `drain` is set and everything in hand is done or given back."""

    def __init__(self, client: Client, settings: WorkerSettings, tools: Tools, model: str, device: str) -> None:
        self._client = client
        self._settings = settings
        self._tools = tools
        self._model = model
        self._device = device
        self._family = FamilyKeys(settings.family)
        self._intake = Intake(client, self._family, settings.worker)
        self._running: dict[str, JobRun | None] = {}
        """By stream entry; None until it is claimed."""
        self._freed = anyio.Event()
        self.draining = anyio.Event()

    async def run(self) -> None:
        """Take part, for as long as it is not draining."""
        await patiently(self._intake.join)
        async with anyio.create_task_group() as beating:
            beating.start_soon(self._beat)
            async with anyio.create_task_group() as jobs:
                async with anyio.create_task_group() as taking:
                    taking.start_soon(self._take, jobs)
                    taking.start_soon(self._take_over, jobs)
                    await self.draining.wait()
                    taking.cancel_scope.cancel()
                with anyio.move_on_after(self._settings.drain_s):
                    while self._running:
                        await self._freed.wait()
                        self._freed = anyio.Event()
                runs = [run for run in self._running.values() if run]
                jobs.cancel_scope.cancel()
            await self._give_back(runs)
            beating.cancel_scope.cancel()
        await self._say_goodbye()

    async def _take(self, jobs: anyio.abc.TaskGroup) -> None:
        back_off = BackOff()
        while True:
            while len(self._running) >= self._settings.at_once:
                await self._freed.wait()
                self._freed = anyio.Event()
            try:
                for delivery in await self._intake.read(BLOCK_MS):
                    self._start(jobs, delivery)
                back_off.reset()
            except Unavailable:
                await back_off.wait()

    async def _take_over(self, jobs: anyio.abc.TaskGroup) -> None:
        """Tickets of workers that died, and those that were leased when they were last looked at."""
        while True:
            await anyio.sleep(TAKEOVER_S)
            if len(self._running) >= self._settings.at_once:
                continue
            try:
                for delivery in await self._intake.left_behind(self._settings.lease_ms // 2):
                    self._start(jobs, delivery)
            except Unavailable:
                continue

    def _start(self, jobs: anyio.abc.TaskGroup, delivery: Delivery) -> None:
        if delivery.entry not in self._running:
            self._running[delivery.entry] = None
            jobs.start_soon(self._job, delivery)

    async def _job(self, delivery: Delivery) -> None:
        """Everything about one ticket; nothing that goes wrong here reaches the other jobs."""
        try:
            run = await self._claimed(delivery)
            is_over = True
            if isinstance(run, Leased):
                return  # it stays pending: taken over when its holder dies
            if run is not None:
                self._running[delivery.entry] = run
                is_over = await run.run()
            if is_over:
                await patiently(lambda: self._intake.acknowledge(delivery))
        except Exception:
            log.exception("ticket %s could not be worked on", delivery.entry)
        finally:
            self._running.pop(delivery.entry, None)
            self._freed.set()

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
            state = EngineBeat(
                worker=self._settings.worker,
                model=self._model,
                device=self._device,
                running=len(self._running),
                pid=os.getpid(),
                host=socket.gethostname(),
                draining=self.draining.is_set(),
            )
            try:
                await beat(self._client, self._family, state)
            except Unavailable:
                log.warning("the store is away; going on")
            await anyio.sleep(self._settings.beat_s)

    async def _give_back(self, runs: list[JobRun]) -> None:
        """Jobs that did not finish in time: another worker may claim them at once."""
        with anyio.move_on_after(2.0):
            for run in runs:
                try:
                    await run.lease.give_back()
                    log.info("job %s given back", run.lease.job)
                except NanobanaError:
                    return

    async def _say_goodbye(self) -> None:
        with anyio.move_on_after(2.0):
            try:
                await self._intake.leave()
                await leave(self._client, self._family, self._settings.worker)
            except NanobanaError:
                return
