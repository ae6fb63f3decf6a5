"""What the scheduler hands out: units (one picture being denoised) and the edits that own them."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from nanobana.protocol.parameters import Lane


@dataclass(frozen=True, slots=True)
class Unit:
    """One picture that advances by a step at a time: a variation, or one tile of it."""

    edit: str
    index: int
    """Unique within the edit, rising."""
    cost: float
    """Of one step; 1.0 = one picture of the model's native size, as the adapter states it."""


@dataclass(slots=True)
class Work:
    """An edit in the running batch."""

    edit: str
    user: str
    lane: Lane
    alone: bool
    """Shares no step with another edit: it was running when a worker died or a call failed (E8)."""
    units: deque[Unit] = field(default_factory=deque)
    """Not finished yet, in the order in which they should finish."""
    has_begun: bool = False
    """It is encoded and has had units."""
