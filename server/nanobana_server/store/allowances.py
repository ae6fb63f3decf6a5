"""What callers have spent of what they may spend: one number each in the store, the same for all servers (R10)."""

from collections.abc import Sequence

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
