"""What callers have spent of what they may spend: one number each in the store, the same for all servers (R10)."""

from collections.abc import Sequence
from math import floor

import msgspec

from nanobana_server.store.base import Base

_MICRO = 1_000_000


class Spend(msgspec.Struct, frozen=True, kw_only=True):
    """Something to be spent by somebody."""

    key: str
    """Of `keyspace.keys.spent`, or `CanvasKeys.spent`."""
    units: float
    burst: float
    """Units that a rested caller may spend at once."""
    seconds: float
    """In which as many come back."""


class Left(msgspec.Struct, frozen=True, kw_only=True):
    """What is there now of an allowance."""

    units: int
    next_s: float
    """Until there is one more; 0 where all are there."""


class Allowances(Base):
    """The part of the store that counts."""

    async def spend(self, spends: Sequence[Spend]) -> tuple[int, float] | None:
        """Spend all of it, or nothing (keys of one slot).

        Returns:
            None when it was spent; else which of them has to be waited for longest, and the seconds.
        """
        words: list[float] = []
        for spend in spends:
            span = spend.seconds * _MICRO
            words += [spend.units, span / spend.burst, span]
        which, wait = await self.client.run("spend", [spend.key for spend in spends], words)
        return None if int(which) == 0 else (int(which) - 1, int(wait) / _MICRO)

    async def left(self, spends: Sequence[Spend]) -> list[Left]:
        """What could be spent now of each, in whole units; nothing is spent. Their `units` do not matter here."""
        now = await self.now_ms() * 1000
        found = []
        for spend in spends:
            stored = await self.client.call("GET", spend.key)
            burst, each = spend.seconds * _MICRO, spend.seconds * _MICRO / spend.burst
            missing = min(burst, max(0.0, float(stored or 0) - now))
            units = floor((burst - missing) / each + 1e-9)
            wait = max(0.0, missing - (spend.burst - units - 1) * each) if missing else 0.0
            found.append(Left(units=units, next_s=wait / _MICRO))
        return found
