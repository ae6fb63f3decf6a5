"""What an edit needs before its first step and no model makes, done beside the others' steps; users in turn (E7)."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from nanobana_engine.memory.flights import GoesOn
from nanobana_engine.worker.niceness import stand_back
from nanobana_engine.worker.turnstile import Turnstile


class Readying:
    """One edit a user at a time; those of a user who has several in hand take only the time that the rest leaves.

    So the others' steps, and what an edit of somebody else needs, do not share a full processor with a flood.

    Args:
        places: edits that are made ready at the same time.
    """

    def __init__(self, places: int) -> None:
        self._turns = Turnstile(places, each=1)
        self._threads = ThreadPoolExecutor(places, "ready")
        self._behind = ThreadPoolExecutor(places, "ready-behind", initializer=stand_back)
        self._in_hand: Counter[str] = Counter()

    @property
    def is_used(self) -> bool:
        """Whether anything is made ready, or waits for that."""
        return self._turns.is_used

    @contextmanager
    def in_hand(self, user: str) -> Iterator[None]:
        """An edit of this user is worked on for as long as the block runs."""
        self._in_hand[user] += 1
        try:
            yield
        finally:
            self._in_hand[user] -= 1
            if not self._in_hand[user]:
                del self._in_hand[user]

    async def run(self, user: str, work: Callable[[GoesOn], None]) -> None:
        """Do it when it is this user's turn.

        Args:
            work: ends soon after what it is given has become False: when nobody waits for it any more.
        """
        going = True
        try:
            async with self._turns.turn(user):
                threads = self._behind if self._in_hand[user] > 1 else self._threads
                await asyncio.get_running_loop().run_in_executor(threads, work, lambda: going)
        finally:
            going = False

    def close(self) -> None:
        """Begin nothing more."""
        for threads in (self._threads, self._behind):
            threads.shutdown(wait=False, cancel_futures=True)

    def check_integrity(self) -> None:
        """What must hold while no edit is in hand.

        Raises:
            AssertionError: with what is left.
        """
        self._turns.check_integrity()
        if self._in_hand:
            raise AssertionError(f"edits are in hand: {dict(self._in_hand)}")
