"""What an adapter's calls took and computed for each edit, and what they would have taken over a whole canvas (E9)."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

from nanobana_engine.models.partly import Work

MOST_SIZES = 32
"""Of passes whose time is remembered; the size that was not timed for longest is forgotten first."""


class Yardstick:
    """Seconds of passes over everything, by their size in cells; the quickest of each size counts, so a busy machine
    makes nothing look dearer than it is."""

    def __init__(self) -> None:
        self._quickest: dict[int, float] = {}

    def note(self, cells: float, seconds: float) -> None:
        """A pass of this size took so long."""
        size = round(cells)
        self._quickest[size] = min(seconds, self._quickest.pop(size, seconds))
        if len(self._quickest) > MOST_SIZES:
            del self._quickest[next(iter(self._quickest))]

    def least(self, cells: float) -> float | None:
        """Seconds that a pass of another size takes at least; None before any was timed.

        A pass costs something fixed and something for each cell. Beyond the sizes seen a cell adds what it added
        between the smallest and the largest of them, and nothing where one alone was seen; below them a pass takes
        its part of the smallest. Both are at most what it takes, for attention makes a cell of a large pass dearer.
        """
        if not self._quickest:
            return None
        sizes = sorted(self._quickest)
        first, last = sizes[0], max((size for size in sizes if size <= cells), default=0)
        if not last:
            return self._quickest[first] * cells / first
        known = self._quickest[last]
        if last == first:
            return known
        return known + max(0.0, known - self._quickest[first]) / (last - first) * (cells - last)


@dataclass(slots=True)
class Coded:
    """What an encoder or a decoder did for an edit, in cells."""

    cells: float = 0.0
    cells_of: float = 0.0
    """Of the whole canvas, each time that it was asked."""

    @property
    def share(self) -> float | None:
        return self.cells / self.cells_of if self.cells_of else None


@dataclass(slots=True)
class Spent:
    """On one edit so far."""

    model_s: float = 0.0
    """Wall time of encode, denoise and decode."""
    condition_s: float = 0.0
    cells: float = 0.0
    """That its steps computed."""
    cells_of: float = 0.0
    """That they would have over the whole canvas."""
    encoded: Coded = field(default_factory=Coded)
    decoded: Coded = field(default_factory=Coded)
    saved_s: float | None = 0.0
    """At least; None once something was done of which no whole pass was timed."""


@dataclass(frozen=True, slots=True)
class Step:
    """One picture's part in a call of the network."""

    owner: str
    cells: int
    """It has."""
    cells_of: float
    """The whole canvas would have."""
    computed: float
    """Share of its cells."""
    is_guided: bool
    """It ran with a negative prompt too."""


class Meter:
    """Of one adapter; used by the thread that makes its calls."""

    def __init__(self) -> None:
        self._spent: dict[str, Spent] = {}
        self._steps = {False: Yardstick(), True: Yardstick()}
        """Without guidance and with it: then the network runs twice."""
        self._decoding = Yardstick()

    def take(self, owner: str) -> Spent:
        """What was spent on this edit, which is forgotten here."""
        return self._spent.pop(owner, Spent())

    @contextmanager
    def timed(self, owners: Iterable[str], what: Literal["model_s", "condition_s"] = "model_s") -> Iterator[None]:
        """The block is a call for these edits."""
        began = time.perf_counter()
        try:
            yield
        finally:
            seconds = time.perf_counter() - began
            for owner in set(owners):
                spent = self._of(owner)
                setattr(spent, what, getattr(spent, what) + seconds)

    def stepped(self, steps: Sequence[Step], seconds: float) -> None:
        """A call of the network for these; each has its part in the time by what was computed of it."""
        first = steps[0]
        if all((one.cells, one.computed, one.is_guided) == (first.cells, 1.0, first.is_guided) for one in steps):
            self._steps[first.is_guided].note(first.cells, seconds / len(steps))
        total = sum(one.cells * one.computed for one in steps)
        for one in steps:
            computed = one.cells * one.computed
            spent = self._of(one.owner)
            spent.cells += computed
            spent.cells_of += one.cells_of
            self._save(spent, self._steps[one.is_guided], one.cells_of, seconds * computed / total if total else 0.0)

    def encoded(self, owner: str, cells: int, cells_of: float, work: Work) -> None:
        """So much was encoded of a picture of so many cells."""
        coded = self._of(owner).encoded
        coded.cells += cells * work.done
        coded.cells_of += cells_of

    def decoded(self, owner: str, cells: int, cells_of: float, work: Work | None, seconds: float) -> None:
        """A picture was decoded, or a part of it; where nothing counts the work it was all of it."""
        if work is None or work.done >= work.asked > 0:
            self._decoding.note(cells, seconds)
        spent = self._of(owner)
        if work is not None and work.asked:
            spent.decoded.cells += cells * work.done
            spent.decoded.cells_of += cells_of
        self._save(spent, self._decoding, cells_of, seconds)

    def check_integrity(self) -> None:
        """Raises AssertionError while something is kept of edits, none of which runs."""
        if self._spent:
            raise AssertionError(f"seconds of edits that are gone: {sorted(self._spent)}")

    def _of(self, owner: str) -> Spent:
        return self._spent.setdefault(owner, Spent())

    @staticmethod
    def _save(spent: Spent, yardstick: Yardstick, cells_of: float, seconds: float) -> None:
        least = yardstick.least(cells_of)
        spent.saved_s = None if least is None or spent.saved_s is None else spent.saved_s + least - seconds
