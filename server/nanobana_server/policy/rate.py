"""Rate limits by the generic cell rate algorithm: one number per limit, no timers (design §8)."""

from collections.abc import Callable

Clock = Callable[[], float]
"""Monotonic seconds."""


class Rate:
    """Lets `per_second` through in the long run and `burst` at once.

    Args:
        per_second: units that come back each second.
        burst: units that a rested caller may spend at once.
        clock: monotonic seconds.
    """

    __slots__ = ("_burst_s", "_clock", "_each_s", "_full_at")

    def __init__(self, per_second: float, burst: float, clock: Clock) -> None:
        self._each_s = 1.0 / per_second
        self._burst_s = burst / per_second
        self._clock = clock
        self._full_at = 0.0

    def wait_for(self, units: float = 1.0) -> float:
        """Spend the units if they are there.

        Returns:
            0.0 when they were spent, else the seconds after which they would be there; nothing is spent then.
        """
        now = self._clock()
        full_at = max(self._full_at, now) + units * self._each_s
        over = full_at - now - self._burst_s
        if over > 0.0:
            return over
        self._full_at = full_at
        return 0.0

    def debt_of(self, units: float) -> float:
        """Spend the units even if they are not there; the seconds to pause until they are."""
        now = self._clock()
        self._full_at = max(self._full_at, now) + units * self._each_s
        return max(0.0, self._full_at - now - self._burst_s)
