"""Between the event loop and the model thread: edits go down, events come up to the job that waits for them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import anyio

from nanobana_engine.engine import EditFailed, EditFinished, EditPart, EditProgress, Engine, Source
from nanobana_engine.engine.events import EditEvent
from nanobana_engine.engine.parts import Part
from nanobana_engine.engine.residents import Residents
from nanobana_engine.memory import Memory
from nanobana_engine.models.base import ModelAdapter


class Ended:
    """The end of one edit, awaited."""

    def __init__(self) -> None:
        self._event = anyio.Event()
        self._end: EditFinished | EditFailed | None = None

    def set(self, end: EditFinished | EditFailed) -> None:
        self._end = end
        self._event.set()

    async def wait(self) -> EditFinished | EditFailed:
        await self._event.wait()
        assert self._end is not None
        return self._end


@dataclass(frozen=True, slots=True)
class _Waiting:
    show: Callable[[EditProgress], None]
    take: Callable[[Part], None]
    ended: Ended


class Bridge:
    """Owns the engine; made on the event loop that it reports to."""

    def __init__(self, models: ModelAdapter | Residents, *, budget: float, memory: Memory | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        self._waiting: dict[str, _Waiting] = {}
        self.engine = Engine(models, self._tell, budget=budget, memory=memory)

    def __contains__(self, edit: str) -> bool:
        """Whether the edit was submitted and has not ended."""
        return edit in self._waiting

    @property
    def is_busy(self) -> bool:
        """Whether any edit was submitted and has not ended."""
        return bool(self._waiting)

    @contextmanager
    def submit(
        self, source: Source, show: Callable[[EditProgress], None], take: Callable[[Part], None]
    ) -> Iterator[Ended]:
        """Run an edit; leaving the block before its end cancels it within one step (E8).

        Args:
            show: gets every state of it.
            take: gets the parts of a large result as they are finished.
        """
        ended = Ended()
        self._waiting[source.id] = _Waiting(show, take, ended)
        self.engine.submit(source)
        try:
            yield ended
        finally:
            if self._waiting.pop(source.id, None) is not None:
                self.engine.cancel(source.id)

    def check_integrity(self) -> None:
        """Raises AssertionError where somebody still waits for an edit; called while no job runs."""
        if self._waiting:
            raise AssertionError(f"edits are waited for: {sorted(self._waiting)}")

    def _tell(self, event: EditEvent) -> None:
        try:
            self._loop.call_soon_threadsafe(self._deliver, event)
        except RuntimeError:
            return  # the loop is closed: the worker is ending

    def _deliver(self, event: EditEvent) -> None:
        waiting = self._waiting.get(event.id)
        if waiting is None:
            return
        if isinstance(event, EditProgress):
            waiting.show(event)
            return
        if isinstance(event, EditPart):
            waiting.take(event.part)
            return
        del self._waiting[event.id]
        waiting.ended.set(event)
