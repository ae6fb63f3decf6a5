"""Who may use the threads next: so many at once, and each user in turn (E7)."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio


class Turnstile:
    """Of those who wait, lets in whose user has fewest inside, then who was let in longest ago, then who came first.

    Without it a flood of edits that are read and planned would stand in front of everybody else's in the threads'
    own queue.

    Args:
        places: how many may be inside at a time.
        each: how many of one user's, so that another's finds a place at once; None: as many as there are places.
    """

    def __init__(self, places: int, *, each: int | None = None) -> None:
        self._free = places
        self._places = places
        self._each = each or places
        self._inside: Counter[str] = Counter()
        self._waiting: list[tuple[str, anyio.Event]] = []
        self._turn = 0
        self._served: dict[str, int] = {}
        """The turn in which each user was let in last, of those who are inside or wait."""

    @property
    def is_used(self) -> bool:
        """Whether anybody is inside or waits."""
        return bool(self._served or self._waiting)

    @asynccontextmanager
    async def turn(self, user: str) -> AsyncIterator[None]:
        """A place for as long as the block runs."""
        await self._enter(user)
        try:
            yield
        finally:
            self._leave(user)

    def check_integrity(self) -> None:
        """What must hold while nobody is inside.

        Raises:
            AssertionError: a place was lost, or somebody is left.
        """
        if self._free != self._places or self._waiting or self._inside or self._served:
            raise AssertionError(f"{self._free} of {self._places} places are free, {len(self._waiting)} wait")

    async def _enter(self, user: str) -> None:
        place = (user, anyio.Event())
        self._waiting.append(place)
        self._let_in()
        try:
            await place[1].wait()
        except BaseException:
            if place in self._waiting:
                self._waiting.remove(place)
                self._forget(user)
            else:  # it was let in while it was being cancelled
                self._leave(user)
            raise

    def _leave(self, user: str) -> None:
        self._inside[user] -= 1
        self._free += 1
        self._let_in()
        self._forget(user)

    def _let_in(self) -> None:
        while self._free:
            able = [place for place in self._waiting if self._inside[place[0]] < self._each]
            if not able:
                return
            place = min(able, key=lambda each: (self._inside[each[0]], self._served.get(each[0], 0)))
            self._waiting.remove(place)
            self._turn += 1
            self._served[place[0]] = self._turn
            self._inside[place[0]] += 1
            self._free -= 1
            place[1].set()

    def _forget(self, user: str) -> None:
        if not self._inside[user]:
            del self._inside[user]
            if all(waiting != user for waiting, _ in self._waiting):
                self._served.pop(user, None)
