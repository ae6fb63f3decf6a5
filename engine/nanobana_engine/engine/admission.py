"""Which edits may run now: only with their model in memory and room for the largest call that they will make (E10)."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum, auto
from typing import TypeAlias

from nanobana.protocol.errors import NanobanaError
from nanobana_engine.engine.residents import Residents, Tell
from nanobana_engine.engine.smaller import smaller
from nanobana_engine.engine.source import Source
from nanobana_engine.memory import Memory
from nanobana_engine.memory.ledger import Key, Worth
from nanobana_engine.memory.machine import in_words
from nanobana_engine.runner import OutOfMemory, Runner

OVERTAKES = 4
"""Edits that may go before one that waits for room, so that it waits for them and for what runs, and no longer."""
PICTURE_BYTES = 48
"""A pixel of the context while an edit runs: what stands there, prefilled, both masks, as it came; in floats."""
VARIATION_BYTES = 24
"""And for each variation: its picture and the one before it."""

BYTE_PLANES = 6
"""A pixel of a large edit's variation: the stage before and the one that grows, three bytes each."""

CALLS: Key = ("calls", "largest")
"""Room for the largest call of any edit that runs: one thread makes them, one after another."""
MORE: Key = ("calls", "more")
"""What a step's call of several edits works in beyond that."""


class ModelTooLarge(NanobanaError):
    """A model whose weights alone are more than the budget."""

    code = "model_too_large"
    status = 507

    def __init__(self, model: str, needs: int, has: int) -> None:
        super().__init__(
            f"The model {model} needs {in_words(needs)} of weights at once, and this engine may use {in_words(has)}. "
            "Nothing was changed. Give it more (NANOBANA_MEMORY_BUDGET), keep weights in eight bits "
            "(NANOBANA_WEIGHTS=int8), or take another model."
        )


class Wait(Enum):
    """Why an edit does not run yet."""

    LOADING = auto()
    """Its model is on its way into memory."""
    FULL = auto()
    """Others use the room."""


Verdict: TypeAlias = Runner | Wait | NanobanaError
"""It runs on this; it waits; or it will never fit, and the sentence says what to change."""


@dataclass(slots=True)
class Asked:
    """An edit that asks to run."""

    source: Source
    is_smaller: bool = False
    """Planned with less at a time than it was at first: done once, where it would not fit if it were alone."""
    overtaken: int = 0


class Admission:
    """Owned by the model thread. Every edit that asks runs some day, or is told that it never will."""

    def __init__(self, residents: Residents, memory: Memory, tell: Tell) -> None:
        self._residents = residents
        self._ledger = memory.device
        self._tell = tell
        self._waiting: deque[Asked] = deque()
        self._running: dict[str, tuple[str, int]] = {}
        """Edit → its model and the bytes of its largest call."""
        self._booked = 0
        """Bytes for the largest call of them all."""

    def __len__(self) -> int:
        """Edits that wait."""
        return len(self._waiting)

    def ask(self, source: Source) -> None:
        """The edit stands last in the row."""
        self._waiting.append(Asked(source))

    def leave(self, edit: str) -> None:
        """It is over, or is not wanted any more; unknown edits are ignored."""
        self._waiting = deque(each for each in self._waiting if each.source.id != edit)
        if edit in self._running:
            model, _ = self._running.pop(edit)
            self._ledger.give_back(("edit", edit))
            self._residents.unpin(model)
            self._book_calls()

    @property
    def can_move(self) -> bool:
        """Whether somebody waits for nothing that is still to come in: `next` has an answer then."""
        return bool(self._waiting) and not self._residents.is_loading

    def next(self) -> tuple[Asked, Runner | NanobanaError] | None:
        """The next edit that runs, or never will: it leaves the row. None: whoever waits, waits on.

        In order of arrival; past an edit that waits for room go OVERTAKES others, then nobody.
        """
        blocked: list[Asked] = []
        for each in self._waiting:
            verdict = self._verdict(each)
            if isinstance(verdict, Runner):
                for before in blocked:
                    before.overtaken += 1
            if not isinstance(verdict, Wait):
                self._waiting.remove(each)
                return each, verdict
            if verdict is Wait.FULL:
                if each.overtaken >= OVERTAKES:
                    return None
                blocked.append(each)
        return None

    @contextmanager
    def room(self, wanted_bytes: int) -> Iterator[int]:
        """How many of the wanted bytes a step's calls may work in; inside the block they are booked.

        What is booked for the largest call is always there; for more, caches are dropped, models are not.
        """
        more = max(0, min(wanted_bytes - self._booked, self._ledger.room(Worth.CACHE)))
        self._ledger.book(MORE, more, Worth.CACHE)
        try:
            yield self._booked + more
        finally:
            self._ledger.give_back(MORE)

    def waiting_for(self, model: str) -> list[Source]:
        """Those whose model it is; they leave the row."""
        found = [each for each in self._waiting if self._model(each.source) == model]
        self._waiting = deque(each for each in self._waiting if each not in found)
        return [each.source for each in found]

    def check_integrity(self) -> None:
        """What must hold while no edit runs or waits.

        Raises:
            AssertionError: with what is left.
        """
        left = self._ledger.used_by("edit") + self._ledger.used_by("calls")
        if left or self._running or self._waiting:
            raise AssertionError(f"{left} bytes of work are booked, for {sorted(self._running)}")

    def _verdict(self, asked: Asked) -> Verdict:
        model = self._model(asked.source)
        if self._residents.least(model) > self._ledger.budget_bytes:
            return ModelTooLarge(model, self._residents.least(model), self._ledger.budget_bytes)
        runner = self._residents.runner(model)
        if runner is None:
            is_coming = self._residents.begin_loading(model, self._tell)
            return Wait.LOADING if is_coming else Wait.FULL
        holds, calls = self._sizes(asked, runner)
        if self._residents.bytes(model) + holds + calls > self._ledger.budget_bytes:
            return OutOfMemory()
        self._residents.pin(model)
        others = max((each for _, each in self._running.values()), default=0)
        if not self._ledger.could_take(holds + max(0, calls - others)):
            self._residents.unpin(model)
            return Wait.FULL if self._running or self._residents.is_loading else OutOfMemory()
        self._ledger.book(("edit", asked.source.id), holds, Worth.WORK)
        self._running[asked.source.id] = (model, calls)
        self._book_calls()
        return runner

    def _sizes(self, asked: Asked, runner: Runner) -> tuple[int, int]:
        """What the edit holds and what its largest call works in; it is planned smaller where that could never fit."""
        budget = self._ledger.budget_bytes - self._residents.bytes(self._model(asked.source))
        while True:
            holds, calls = held_bytes(asked.source), call_bytes(asked.source, runner)
            less = None
            if holds + calls > budget and not asked.is_smaller:
                less = smaller(asked.source, runner.adapter.preset)
            if less is None:
                return holds, calls
            asked.source, asked.is_smaller = less, True

    def _book_calls(self) -> None:
        most = max((calls for _, calls in self._running.values()), default=0)
        if most < self._booked:
            self._residents.lodging.end_loan()
        self._booked = most
        if not self._running:
            self._ledger.give_back(CALLS)
        elif CALLS in self._ledger:
            self._ledger.correct(CALLS, most)
        else:
            self._ledger.book(CALLS, most, Worth.WORK)

    def _model(self, source: Source) -> str:
        return source.model or self._residents.default


def held_bytes(source: Source) -> int:
    """What an edit holds from its first stage to its last: pictures of its context and of each variation.

    Floats where the context is one picture; bytes, and floats of its tiles only, where it goes window by window (E3).
    """
    plan, variations = source.plan, source.edit.variations
    largest = max(stage.width * stage.height for stage in plan.stages)
    if plan.is_large:
        tile = max(tile.width * tile.height for stage in plan.stages for tile in stage.tiles)
        return plan.nbytes + BYTE_PLANES * variations * largest + (PICTURE_BYTES + VARIATION_BYTES * variations) * tile
    width, height = plan.size
    return PICTURE_BYTES * (width * height + largest) + VARIATION_BYTES * variations * largest


def call_bytes(source: Source, runner: Runner) -> int:
    """What the largest single call of an edit works in: mostly decoding its largest tile.

    A network that comes for its call is in that room too: an encoder with nothing beside it, the denoising network with
    whatever is called after it, for it stays until its edits are over or another one comes.
    """
    sizes = {(tile.width, tile.height) for stage in source.plan.stages for tile in stage.tiles}
    return max(runner.encoder_bytes, runner.network_bytes + max(runner.needs(*size).most for size in sizes))
