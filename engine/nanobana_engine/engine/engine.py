"""The engine: one thread that steps all running edits together, fed and cancelled between steps (E7, E8)."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from queue import Empty, SimpleQueue

from nanobana.protocol.errors import NanobanaError
from nanobana_engine.engine.admission import Admission
from nanobana_engine.engine.edit import EditRun
from nanobana_engine.engine.events import EditEvent, EditFailed, EditPart
from nanobana_engine.engine.failures import Failures, Unwanted
from nanobana_engine.engine.rehearsal import Rehearsal
from nanobana_engine.engine.residents import Foreseen, Loaded, Residents
from nanobana_engine.engine.source import Source
from nanobana_engine.integrity import Integrity
from nanobana_engine.memory import Memory
from nanobana_engine.models.ahead import PreparesAhead
from nanobana_engine.models.base import ModelAdapter, Preset
from nanobana_engine.runner import Pass, Runner
from nanobana_engine.scheduler import Scheduler, Unit

log = logging.getLogger(__name__)


class Engine:
    """Runs edits on models: `receive` and `step`, again and again, in a thread of its own after `start`.

    Args:
        models: an adapter that is there, or several that are loaded when an edit names them; called from the thread
            that steps only.
        tell: takes every event; called in that thread, must not block.
        budget: cost of one step at the most, in native pictures (E7).
        clock: seconds; how long steps take is learnt by it.
        memory: the books in which models and running edits are entered (E10).
    """

    def __init__(
        self,
        models: ModelAdapter | Residents,
        tell: Callable[[EditEvent], None],
        *,
        budget: float = 4.0,
        clock: Callable[[], float] = time.perf_counter,
        memory: Memory | None = None,
    ) -> None:
        self._memory = memory or Memory()
        self.residents = models if isinstance(models, Residents) else Residents.of_one(models, self._memory)
        self._tell = tell
        self._clock = clock
        self._scheduler = Scheduler(budget)
        self._inbox: SimpleQueue[Source | Foreseen | Rehearsal | Loaded | str | None] = SimpleQueue()
        self._admission = Admission(self.residents, self._memory, self._inbox.put)
        self._cancelled: set[str] = set()
        self._cancelling = threading.Lock()
        self._runs: dict[str, EditRun] = {}
        self._rehearsal: Rehearsal | None = None
        self._failures = Failures(self._again, self._fail)
        self._thread = threading.Thread(target=self._loop, name="model", daemon=True)
        self.integrity = Integrity()
        """Proven whenever nothing runs; parts that the model thread uses add their checks before `start`."""
        self.integrity.add("engine", self._check_integrity)
        self.integrity.add("models", self.residents.check_integrity)
        self.integrity.add("admission", self._admission.check_integrity)
        self.integrity.add("memory", self._memory.check_integrity)

    @property
    def preset(self) -> Preset:
        """Of the model of edits that name none."""
        return self.residents.presets[self.residents.default]

    @property
    def is_idle(self) -> bool:
        """Nothing runs and nobody waits; true only as seen from the thread that steps."""
        return not self._runs and not self._admission

    def start(self) -> None:
        self._thread.start()

    def submit(self, source: Source) -> None:
        """The edit joins the batch at a next step; it ends by exactly one EditFinished or EditFailed, or `cancel`."""
        self._inbox.put(source)

    def cancel(self, edit: str) -> None:
        """No event of this edit is told any more once its current step is over; unknown edits are ignored."""
        with self._cancelling:
            self._cancelled.add(edit)  # seen by the running step's end even before the inbox is read
            self._inbox.put(edit)

    def prepare(self, source: Source, goes_on: Callable[[], bool]) -> None:
        """Do what an edit of this region will need whatever its prompt, where the model can; from any thread.

        A model that is not in memory, or not all of it, is brought there while nothing runs or waits.

        Args:
            source: its prompt, references and seed say nothing.
            goes_on: asked from time to time; False ends it.
        """
        runner = self.residents.runner(source.model or self.residents.default)
        self.expect(source.model)
        if runner is not None and isinstance(runner.adapter, PreparesAhead):
            for request in EditRun(source, runner).requests_ahead():
                if goes_on():
                    runner.adapter.prepare(request, goes_on)

    def prepares_briefly(self, source: Source) -> bool:
        """Whether `prepare` is over before anybody who types could notice it."""
        runner = self.residents.runner(source.model or self.residents.default)
        return runner is not None and isinstance(runner.adapter, PreparesAhead) and runner.adapter.prepares_briefly

    def foresee(self, source: Source, goes_on: Callable[[], bool]) -> None:
        """`prepare`, and then what needs the model's thread, as long as that has nothing else to do (E9)."""
        self.prepare(source, goes_on)
        rehearsal = Rehearsal(source, goes_on)
        self._inbox.put(rehearsal)
        rehearsal.wait()

    def expect(self, model: str) -> None:
        """Somebody may soon ask for this model, "" for the default one: bring in what is away of it; from any thread.

        It is done while nothing runs or waits, or not at all.
        """
        model = model or self.residents.default
        if not self.residents.is_whole(model):
            self._inbox.put(Foreseen(model))

    def close(self, timeout: float | None = None) -> None:
        """End the thread after its current step; running edits end without an event."""
        self._inbox.put(None)
        self._thread.join(timeout)

    def step(self) -> bool:
        """One step for all who can take part: schedule, run, emit.

        Returns:
            False where there was nothing to do.
        """
        self._admit()
        beginning = self._scheduler.next_to_begin()
        if beginning is not None:
            self._begin(self._runs[beginning])
        units = self._scheduler.next_step()
        for run in self._advanced(units):
            self._failures.guarded(run, partial(self._emit, run))
        return beginning is not None or bool(units)

    def receive(self, *, wait: bool = False) -> bool:
        """Take what came in meanwhile: edits join, cancelled ones leave. False: the engine is to end.

        Args:
            wait: for something to come in.
        """
        while True:
            try:
                message = self._inbox.get(block=wait)
            except Empty:
                return True
            wait = False
            if message is None:
                return False
            if isinstance(message, Foreseen):
                if self.is_idle:  # below everything else: what is in use, or about to be, is never dropped for a guess
                    self.residents.foresee(message.model, self._inbox.put)
            elif isinstance(message, Rehearsal):
                self._rehearsal = message
            elif isinstance(message, Loaded):
                self._end_loading(message)
            elif isinstance(message, str):
                self._leave(message)
                with self._cancelling:
                    self._cancelled.discard(message)
            elif message.id not in self._cancelled:
                self._leave(message.id)
                self._admission.ask(message)

    def _loop(self) -> None:
        while True:
            try:
                if self.is_idle:
                    self.integrity.report()
                if not self.receive(wait=not self._can_go_on):
                    return
                if not self.step() and self.is_idle:
                    self._rehearse()
            except Exception:
                log.exception("the engine's loop failed; every running edit fails with it")
                self._fail_all()

    @property
    def _can_go_on(self) -> bool:
        """There is something to do before anything comes in."""
        return bool(self._runs) or self._admission.can_move or (self.is_idle and self._rehearsal is not None)

    def _rehearse(self) -> None:
        """A piece of what may be asked for; whatever comes in meanwhile ends it."""
        rehearsal = self._rehearsal
        if rehearsal is None:
            return
        runner = self.residents.runner(rehearsal.model or self.residents.default)
        if runner is None or not rehearsal.is_wanted:
            rehearsal.end()
        else:
            rehearsal.go_on(runner, self._inbox.empty)
        if not rehearsal.is_wanted:
            self._rehearsal = None

    def _fail_all(self) -> None:
        """After a bug of the loop itself: begin with empty books rather than leave edits waiting for ever."""
        runs, self._runs = self._runs, {}
        self._scheduler = Scheduler(self._scheduler.budget, self._scheduler.pace)
        for edit, run in runs.items():
            run.let_go()
            run.runner.take_spent(edit)
            self._admission.leave(edit)
            if edit not in self._cancelled:
                self._tell(EditFailed(edit, "engine_error", "The engine stumbled. Nothing was changed; try again."))

    def _check_integrity(self) -> None:
        """Nothing of an edit is left once none runs."""
        self._scheduler.check_integrity()
        if self._runs or len(self._scheduler):
            raise AssertionError(f"{sorted(self._runs)} are still running, {len(self._scheduler)} are scheduled")
        with self._cancelling:
            if self._cancelled and self._inbox.empty():
                raise AssertionError(f"cancelled and never let go: {sorted(self._cancelled)}")

    def _join(self, run: EditRun, *, alone: bool) -> None:
        source = run.source
        self._scheduler.add(source.id, user=source.user, lane=source.edit.lane, alone=alone)
        self._runs[source.id] = run

    def _begin(self, run: EditRun) -> None:
        def begin() -> None:
            self._tell(run.first_look())
            self._scheduler.extend(run.source.id, run.begin_stage())

        self._failures.guarded(run, begin)

    def _admit(self) -> None:
        """Let in who waits for a model or for room, as far as there is some (E10)."""
        while (found := self._admission.next()) is not None:
            asked, verdict = found
            if isinstance(verdict, Runner):
                wanted = partial(self._check_wanted, asked.source.id)
                run = EditRun(asked.source, verdict, wanted, is_smaller=asked.is_smaller)
                self._join(run, alone=asked.source.alone)
            else:
                self._tell_failed(asked.source.id, verdict)

    def _end_loading(self, loaded: Loaded) -> None:
        self.residents.end_loading(loaded)
        if (refusal := loaded.refusal()) is not None:
            for source in self._admission.waiting_for(loaded.model):
                self._tell_failed(source.id, refusal)

    def _leave(self, edit: str) -> None:
        self._scheduler.remove(edit)
        run = self._runs.pop(edit, None)
        if run is not None:
            run.let_go()
            run.runner.take_spent(edit)
        self._admission.leave(edit)

    def _advanced(self, units: Sequence[Unit]) -> list[EditRun]:
        """Run the units' step; the edits that made it."""
        if not units:
            return []
        runs = {unit.edit: self._runs[unit.edit] for unit in units}
        began = self._clock()
        try:
            short = self._stepped([runs[unit.edit] for unit in units], units)
        except Exception:
            log.exception("a step failed", extra={"edits": sorted(runs)})
            self._failures.in_step(list(runs.values()))
            return []
        self._scheduler.pace.note(sum(unit.cost for unit in units), self._clock() - began)
        for edit in {one.owner for one in short}:
            self._failures.short_of_memory(runs.pop(edit))
        for unit in units:
            if unit.edit not in runs:
                continue
            run = runs[unit.edit]
            run.steps_done += 1
            if run.parts[unit.index].one.is_done:
                self._scheduler.finished(unit)
        return list(runs.values())

    def _stepped(self, runs: Sequence[EditRun], units: Sequence[Unit]) -> list[Pass]:
        """Each model's calls, as large as there is room for; the passes that have none even alone."""
        passes: dict[Runner, list[Pass]] = {}
        for run, unit in zip(runs, units, strict=True):
            passes.setdefault(run.runner, []).append(run.parts[unit.index].one)
        short = []
        for runner, part in passes.items():
            beside = runner.network_bytes
            with self._admission.room(beside + sum(map(runner.call_bytes, part))) as room:
                short += runner.advance(part, room - beside)
        return short

    def _emit(self, run: EditRun) -> None:
        """Show how it stands after its step; decode what is done, and go on with its next stage or end it."""
        edit = run.source.id
        if edit in self._cancelled:
            return
        self._tell(run.progress())
        if any(not part.one.is_done for part in run.parts.values()):
            return
        run.end_stage()
        while run.ready:
            self._tell(EditPart(edit, run.ready.pop(0)))
        if not run.is_done:
            self._scheduler.extend(edit, run.begin_stage())
            return
        finished = run.finished()
        self._leave(edit)
        if edit not in self._cancelled:
            self._tell(finished)

    def _check_wanted(self, edit: str) -> None:
        if edit in self._cancelled:
            raise Unwanted(edit)

    def _again(self, run: EditRun, *, alone: bool) -> None:
        self._scheduler.remove(run.source.id)
        run.runner.take_spent(run.source.id)
        run.restart()
        self._join(run, alone=alone)

    def _fail(self, run: EditRun, error: NanobanaError) -> None:
        self._leave(run.source.id)
        self._tell_failed(run.source.id, error)

    def _tell_failed(self, edit: str, error: NanobanaError) -> None:
        if edit not in self._cancelled:
            self._tell(EditFailed(edit, error.code, error.message))
