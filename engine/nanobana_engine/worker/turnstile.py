"""Who may use the threads next: as many at once as there are threads, and each user in turn (E7)."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio


class Turnstile:
    """Lets so many through at a time; of those who wait, whose user has fewest inside, then who came first.

    Without it a flood of edits that are read and planned would stand in front of everybody else's in the threads'
    own queue.
    """

    def __init__(self, places: int) -> None:
        self._free = places
        self._places = places
        self._inside: Counter[str] = Counter()
        self._waiting: list[tuple[str, anyio.Event]] = []

    @asynccontextmanager
    async def turn(self, user: str) -> AsyncIterator[None]:
        """A place for as long as the block runs."""
        await self._enter(user)
        try:
            yield
        finally:
            self._inside[user] -= 1
            self._free += 1
            self._let_in()

    def check_integrity(self) -> None:
        """What must hold while nobody is inside.

        Raises:
            AssertionError: a place was lost, or somebody is left.
        """
        if self._free != self._places or self._waiting or any(self._inside.values()):
            raise AssertionError(f"{self._free} of {self._places} places are free, {len(self._waiting)} wait")
        self._inside.clear()

    async def _enter(self, user: str) -> None:
        place = (user, anyio.Event())
        self._waiting.append(place)
        self._let_in()
        try:
            await place[1].wait()
        except BaseException:
            if place in self._waiting:
                self._waiting.remove(place)
            else:  # it was let in while it was being cancelled
                self._inside[user] -= 1
                self._free += 1
                self._let_in()
            raise

    def _let_in(self) -> None:
        while self._free and self._waiting:
            place = min(self._waiting, key=lambda each: self._inside[each[0]])
            self._waiting.remove(place)
            self._inside[place[0]] += 1
            self._free -= 1
            place[1].set()
