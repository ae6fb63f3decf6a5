"""What becomes of an edit that went wrong: it begins again, alone or with less at a time, or ends (E8, E10)."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Protocol

from nanobana.protocol.errors import NanobanaError
from nanobana_engine.engine.edit import EditRun
from nanobana_engine.runner import OutOfMemory

log = logging.getLogger(__name__)

FAILURES = 3
"""Failures alone after which an edit is given up (E8)."""


class Unwanted(Exception):
    """An edit was cancelled in the middle of longer work of its own."""


class Again(Protocol):
    """Has an edit begin again."""

    def __call__(self, run: EditRun, *, alone: bool) -> None: ...


class Failures:
    """Decides; the engine carries it out.

    Args:
        again: has an edit begin again, with or without company.
        end: ends it, giving the reason.
    """

    def __init__(self, again: Again, end: Callable[[EditRun, NanobanaError], None]) -> None:
        self._again = again
        self._end = end

    def guarded(self, run: EditRun, act: Callable[[], None]) -> None:
        """An edit's own work between steps: what goes wrong there is its own failure."""
        try:
            act()
        except Unwanted:
            return  # it leaves when the inbox is read
        except OutOfMemory:
            self.short_of_memory(run)
        except NanobanaError as error:
            self._end(run, error)
        except Exception:
            log.exception("an edit failed between steps", extra={"edit": run.source.id})
            self._failed_alone(run)

    def short_of_memory(self, run: EditRun) -> None:
        """Nobody else's edit is touched: this one begins again with less at a time, or fails (E10)."""
        if run.shrink():
            log.info("edit %s begins again with less at a time: memory was not enough", run.source.id)
            self._again(run, alone=run.source.alone)
        else:
            self._end(run, OutOfMemory())

    def in_step(self, runs: Sequence[EditRun]) -> None:
        """Nobody can say whose fault it was: each begins again without company, and only then it counts (E8)."""
        if len(runs) == 1:
            self._failed_alone(runs[0])
            return
        for run in runs:
            self._again(run, alone=True)

    def _failed_alone(self, run: EditRun) -> None:
        run.failures += 1
        if run.failures >= FAILURES:
            text = "The engine failed at this edit three times. Nothing was changed."
            self._end(run, NanobanaError(text, code="engine_error"))
        else:
            self._again(run, alone=True)
