"""How often a full engine takes the next ticket: what a wait in the queue is told by (J1)."""

from __future__ import annotations

WEIGHT = 0.2
"""Of the newest interval."""


class Turnover:
    """Seconds between two edits that ended while every slot was taken, so that each end took one off the queue.

    Args:
        slots: that the worker fills while edits wait.
    """

    def __init__(self, slots: int) -> None:
        self._slots = slots
        self._last: float | None = None
        self.each_s = 0.0
        """0 while the worker has never been full."""

    def ended(self, in_hand: int, now: float) -> None:
        """One of `in_hand` edits ended; `now` in seconds of any clock."""
        last, self._last = self._last, now if in_hand >= self._slots else None
        if last is None or self._last is None:
            return
        took = max(now - last, 1e-3)
        self.each_s = took if self.each_s == 0.0 else (1.0 - WEIGHT) * self.each_s + WEIGHT * took
