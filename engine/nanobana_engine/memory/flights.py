"""Things in the making, by key: who wants one that is being made waits for it, and keeps it from being given up."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

GoesOn = Callable[[], bool]


class _Flight(Generic[V]):
    """One thing in the making."""

    def __init__(self, goes_on: GoesOn) -> None:
        self.made: Future[V | None] = Future()
        self.wants = [goes_on]

    def goes_on(self) -> bool:
        """Whether anybody still wants it."""
        return any(wants() for wants in self.wants)


class Flights(Generic[K, V]):
    """Safe to call from several threads; nothing is held while a thing is made."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._under_way: dict[K, _Flight[V]] = {}

    def __len__(self) -> int:
        return len(self._under_way)

    def make(self, key: K, work: Callable[[GoesOn], V | None], goes_on: GoesOn) -> V | None:
        """What `work` returns; if another thread makes the same just now, what that returns.

        Args:
            work: is given a function to ask between its parts: False says that nobody wants the thing any more, and
                then it may return None.
            goes_on: whether this caller still wants it.

        Returns:
            None if it was given up; never to a caller whose `goes_on` holds.
        """
        while True:
            with self._lock:
                flight = self._under_way.get(key)
                is_mine = flight is None
                if flight is None:
                    flight = self._under_way[key] = _Flight(goes_on)
                else:
                    flight.wants.append(goes_on)
            made = self._made(key, flight, work) if is_mine else flight.made.result()
            if made is not None or not goes_on():
                return made

    def _made(self, key: K, flight: _Flight[V], work: Callable[[GoesOn], V | None]) -> V | None:
        try:
            made = work(flight.goes_on)
        except BaseException as error:
            self._landed(key)
            flight.made.set_exception(error)
            raise
        self._landed(key)
        flight.made.set_result(made)
        return made

    def _landed(self, key: K) -> None:
        with self._lock:
            del self._under_way[key]
