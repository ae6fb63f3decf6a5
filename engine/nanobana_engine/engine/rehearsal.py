"""What an idle model thread does for an edit that may come: a piece at a time, giving way to whatever comes in (E9)."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator

from nanobana_engine.engine.edit import EditRun
from nanobana_engine.engine.source import Source
from nanobana_engine.runner import Runner

log = logging.getLogger(__name__)

LOOK_S = 0.05
"""How often who waits for a rehearsal asks whether it is wanted still."""


class Rehearsal:
    """Made by any thread, which may wait for it; gone on with by the model thread.

    Args:
        source: its prompt, references and seed say nothing.
        goes_on: False: nobody wants it any more.
    """

    def __init__(self, source: Source, goes_on: Callable[[], bool]) -> None:
        self.model = source.model
        self._source = source
        self._goes_on = goes_on
        self._is_over = threading.Event()
        self._pieces: Iterator[None] | None = None
        self._is_calm: Callable[[], bool] = lambda: True

    @property
    def is_wanted(self) -> bool:
        return not self._is_over.is_set() and self._goes_on()

    def wait(self) -> None:
        """Until it is over, or not wanted any more."""
        while self.is_wanted and not self._is_over.wait(LOOK_S):
            pass

    def end(self) -> None:
        self._is_over.set()

    def go_on(self, runner: Runner, is_calm: Callable[[], bool]) -> None:
        """One piece; what is given up in the middle of one, because it was not calm any more, begins anew.

        Args:
            is_calm: asked while the piece is made.
        """
        if self._pieces is None:
            self._pieces = self._begun(runner, lambda: is_calm() and self.is_wanted)
        try:
            if next(self._pieces, self) is self:
                self._pieces = None
                if is_calm():
                    self.end()
        except Exception:
            log.exception("preparing for an edit failed")  # the edit itself will say so, if it comes
            self.end()

    def _begun(self, runner: Runner, goes_on: Callable[[], bool]) -> Iterator[None]:
        stage = self._source.plan.stages[0]
        if len(stage.tiles) == 1:
            for request in EditRun(self._source, runner).requests_ahead():
                yield from runner.rehearse(request, stage.steps, goes_on)
