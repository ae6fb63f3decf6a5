"""How long a step takes by what it costs, learnt from the steps themselves: what company costs the others (E7)."""

from __future__ import annotations

FORGETS = 0.95
"""Weight of what is known at each new step: about the last twenty count."""

SPREAD = 0.05
"""Variance of the costs seen, in native pictures squared, below which a slope cannot be told."""


class Pace:
    """Least squares of seconds = fixed + each * cost.

    Until costs have differed every picture counts as taking its full time, as on a processor; on a device that is not
    yet full a second picture costs next to nothing, and that is soon known.

    Args:
        fixed: the known share of a call that does not depend on its cost, in pictures.
    """

    def __init__(self, fixed: float = 0.0) -> None:
        self._fixed = fixed
        self._weight = self._cost = self._seconds = self._cost2 = self._both = 0.0

    def note(self, cost: float, seconds: float) -> None:
        """A step of this cost took so long."""
        self._weight = FORGETS * self._weight + 1.0
        self._cost = FORGETS * self._cost + cost
        self._seconds = FORGETS * self._seconds + seconds
        self._cost2 = FORGETS * self._cost2 + cost * cost
        self._both = FORGETS * self._both + cost * seconds
        mean = self._cost / self._weight
        spread = self._cost2 / self._weight - mean * mean
        if spread < SPREAD:
            return
        each = (self._both / self._weight - mean * self._seconds / self._weight) / spread
        fixed = self._seconds / self._weight - each * mean
        self._fixed = max(0.0, fixed / each) if each > 0.0 else float("inf")

    def stretch(self, own: float, total: float) -> float:
        """How many times longer a step of cost `total` takes than one of cost `own` alone."""
        if self._fixed == float("inf"):
            return 1.0
        return (self._fixed + total) / (self._fixed + own)
