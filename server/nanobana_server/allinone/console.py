"""Progress lines of `nanobana serve`: which part does what, for a person at a terminal."""

from __future__ import annotations

import io
import sys
import time
from collections.abc import Callable
from typing import TextIO


class Console:
    """Writes one aligned line for each event of a part.

    Args:
        out: where to; each line is flushed, so that a pipe sees it at once.
        clock: seconds, rising; injected by tests.
    """

    def __init__(self, out: TextIO | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._out = out or sys.stdout
        self._clock = clock
        self._start = clock()

    def title(self, text: str) -> None:
        """A line of its own, between blank ones."""
        self._write(f"\n  {text}\n")

    def part(self, name: str, text: str) -> None:
        """What one part does now, with the seconds since the start."""
        self._write(f"  {self._clock() - self._start:5.1f} s  {name:<7} {text}")

    def plain(self, text: str) -> None:
        self._write(f"  {text}")

    def _write(self, text: str) -> None:
        try:
            print(text, file=self._out, flush=True)
        except BrokenPipeError:
            # Nobody reads any more (`nanobana serve | head`): the canvas goes on all the same.
            self._out = io.StringIO()
