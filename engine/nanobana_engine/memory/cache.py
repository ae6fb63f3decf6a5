"""Things by key that are remembered while there is room: least recently used out first, counted in bytes (E9)."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from nanobana_engine.memory.ledger import Ledger, Worth

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Cache(Generic[K, V]):
    """One holder in a ledger. Values must not be changed by who gets them. Safe to call from several threads.

    Args:
        name: the holder's, unique in the ledger.
        limit_bytes: of its values at the most, whatever room the ledger has; 0 remembers nothing.
    """

    def __init__(self, ledger: Ledger, name: str, limit_bytes: int) -> None:
        self.name = name
        self.limit_bytes = limit_bytes
        self.hits = 0
        self.misses = 0
        self._ledger = ledger
        self._values: OrderedDict[K, tuple[V, int]] = OrderedDict()
        self._used = 0

    def __len__(self) -> int:
        return len(self._values)

    @property
    def used_bytes(self) -> int:
        return self._used

    def get(self, key: K) -> V | None:
        """What is remembered, or None; it counts as used now."""
        with self._ledger.lock:
            found = self._values.get(key)
            if found is None:
                self.misses += 1
                return None
            self.hits += 1
            self._values.move_to_end(key)
            self._ledger.touch((self.name, key))
            return found[0]

    def put(self, key: K, value: V, nbytes: int) -> None:
        """Remember it if there is room, which others' older entries make; a value already there is kept."""
        with self._ledger.lock:
            if key in self._values or nbytes > self.limit_bytes:
                return
            while self._used + nbytes > self.limit_bytes:
                if not self.forget(next(iter(self._values))):
                    return
            if self._ledger.book((self.name, key), nbytes, Worth.CACHE, lambda: self._gone(key)):
                self._values[key] = (value, nbytes)
                self._used += nbytes

    def look(self, key: K, make: Callable[[], V], size: Callable[[V], int]) -> V:
        """What is remembered, or else what `make` returns, remembered with `size` bytes.

        Two threads that miss at the same time both make it: nothing waits with a lock held.
        """
        found = self.get(key)
        if found is None:
            found = make()
            self.put(key, found, size(found))
        return found

    def forget(self, key: K) -> bool:
        """Drop one value; False if it is not there."""
        with self._ledger.lock:
            if key not in self._values:
                return False
            return self._ledger.drop((self.name, key))

    def clear(self) -> None:
        """Drop everything."""
        with self._ledger.lock:
            for key in list(self._values):
                self.forget(key)

    def check_integrity(self) -> None:
        """Prove that it holds what the ledger has booked for it.

        Raises:
            AssertionError: with what disagrees.
        """
        with self._ledger.lock:
            held, booked = sum(nbytes for _, nbytes in self._values.values()), self._ledger.used_by(self.name)
            if not held == booked == self._used <= max(self.limit_bytes, 0):
                raise AssertionError(f"{self.name} holds {held} bytes, counted {self._used}, booked {booked}")

    def _gone(self, key: K) -> None:
        _, nbytes = self._values.pop(key)
        self._used -= nbytes
