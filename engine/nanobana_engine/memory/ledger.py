"""One book of bytes under a budget: what can be made again is dropped, least recently used first (E10). No torch."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from enum import IntEnum
from typing import TypeAlias

Key: TypeAlias = tuple[str, Hashable]
"""Whose it is ("model", "tiles" …) and its name there."""


class Worth(IntEnum):
    """What it costs to make again; the cheap goes before the dear, whenever it was used last."""

    CACHE = 0
    """Computed again in milliseconds."""
    MODEL = 1
    """Read from disk again in seconds."""
    WORK = 2
    """Of an edit that runs: never dropped, given back by its owner."""


@dataclass(slots=True)
class Entry:
    """One thing in the book."""

    bytes: int
    worth: Worth
    drop: Callable[[], object] | None
    pins: int = 0
    """How many use it now."""

    @property
    def loose(self) -> int:
        """Bytes that dropping it now would free."""
        return self.bytes if self.drop is not None and not self.pins else 0


class Ledger:
    """Books bytes; never allocates or frees any itself. Safe to call from several threads.

    An entry that is pinned, or is work, is never dropped. `drop` is called with the ledger's lock held, after the
    entry has left the book: it lets go of the thing and must not wait.

    Args:
        budget_bytes: of all entries together. Only bytes that had to be corrected upwards (`correct`) exceed it.
    """

    def __init__(self, budget_bytes: int) -> None:
        if budget_bytes < 0:
            raise ValueError(f"a budget cannot be {budget_bytes} bytes")
        self.budget_bytes = budget_bytes
        self.lock = threading.RLock()
        self._used = 0
        self._entries: dict[Key, Entry] = {}
        self._order: dict[Worth, OrderedDict[Key, None]] = {worth: OrderedDict() for worth in Worth}
        """Least recently used first."""
        self._loose: dict[Worth, int] = dict.fromkeys(Worth, 0)
        """Bytes that could be dropped now."""

    def __contains__(self, key: Key) -> bool:
        with self.lock:
            return key in self._entries

    @property
    def used_bytes(self) -> int:
        return self._used

    def used_by(self, holder: str) -> int:
        """Bytes of all entries of a holder."""
        with self.lock:
            return sum(entry.bytes for key, entry in self._entries.items() if key[0] == holder)

    def could_take(self, nbytes: int, worth: Worth = Worth.WORK) -> bool:
        """Whether `book` would succeed now."""
        return nbytes <= self.room(worth)

    def room(self, worth: Worth = Worth.WORK) -> int:
        """The most bytes that `book` would take now; below 0 where the budget is overdrawn."""
        with self.lock:
            stays = self._used - sum(self._loose[each] for each in Worth if each <= worth)
            return self.budget_bytes - stays

    def book(self, key: Key, nbytes: int, worth: Worth, drop: Callable[[], object] | None = None) -> bool:
        """Enter something, dropping what is worth no more until it fits; it counts as used now.

        Args:
            drop: lets go of it; None for what its owner gives back itself, which is never dropped.

        Returns:
            False, and nothing was dropped, where it does not fit even so.

        Raises:
            ValueError: the key is in the book already, or the bytes are negative.
        """
        with self.lock:
            if key in self._entries:
                raise ValueError(f"{key} is in the book already")
            if nbytes < 0:
                raise ValueError(f"{key} cannot have {nbytes} bytes")
            if not self.could_take(nbytes, worth):
                return False
            self._make_room(nbytes, worth)
            entry = self._entries[key] = Entry(nbytes, worth, drop)
            self._order[worth][key] = None
            self._used += nbytes
            self._loose[worth] += entry.loose
            return True

    def correct(self, key: Key, nbytes: int) -> None:
        """The true size of an entry, once it is known. Others are dropped for it, but it is never refused."""
        with self.lock:
            self.pin(key)
            entry = self._entries[key]
            self._used += nbytes - entry.bytes
            entry.bytes = nbytes
            self._make_room(0, entry.worth)
            self.unpin(key)

    def touch(self, key: Key) -> None:
        """It was used just now."""
        with self.lock:
            self._order[self._entries[key].worth].move_to_end(key)

    def give_back(self, key: Key) -> bool:
        """Take an entry out, pinned or not, without calling its `drop`; False if it was not there."""
        with self.lock:
            entry = self._entries.pop(key, None)
            if entry is None:
                return False
            del self._order[entry.worth][key]
            self._used -= entry.bytes
            self._loose[entry.worth] -= entry.loose
            return True

    def pin(self, key: Key) -> None:
        """It is in use and stays until `unpin`; pins are counted."""
        with self.lock:
            entry = self._entries[key]
            self._loose[entry.worth] -= entry.loose
            entry.pins += 1
            self.touch(key)

    def unpin(self, key: Key) -> None:
        """The end of one use; it counts as used now.

        Raises:
            ValueError: nobody has pinned it.
        """
        with self.lock:
            entry = self._entries[key]
            if entry.pins == 0:
                raise ValueError(f"{key} is not in use")
            entry.pins -= 1
            self._loose[entry.worth] += entry.loose
            self.touch(key)

    def drop(self, key: Key) -> bool:
        """Drop an entry now; False where it is not there or in use."""
        with self.lock:
            if not (key in self._entries and self._may_go(key, Worth.WORK)):
                return False
            self._drop(key)
            return True

    def drop_caches(self) -> int:
        """Drop every cache's entries, after memory turned out to be short all the same; says how many bytes."""
        with self.lock:
            before = self._used
            for key in [key for key in self._order[Worth.CACHE] if self._may_go(key, Worth.WORK)]:
                self._drop(key)
            return before - self._used

    def check_integrity(self) -> None:
        """Prove that the books agree.

        Raises:
            AssertionError: with what disagrees.
        """
        with self.lock:
            total = sum(entry.bytes for entry in self._entries.values())
            if total != self._used:
                raise AssertionError(f"the entries have {total} bytes, the book says {self._used}")
            listed = {key: worth for worth, keys in self._order.items() for key in keys}
            if listed != {key: entry.worth for key, entry in self._entries.items()}:
                raise AssertionError("the order of use does not list what is in the book")
            loose = {worth: sum(self._entries[key].loose for key in keys) for worth, keys in self._order.items()}
            if loose != self._loose:
                raise AssertionError(f"{loose} bytes could be dropped, the book says {self._loose}")
            wrong = [key for key, entry in self._entries.items() if entry.pins < 0 or entry.bytes < 0]
            if wrong:
                raise AssertionError(f"pins or bytes below nothing: {wrong}")

    def _may_go(self, key: Key, worth: Worth) -> bool:
        entry = self._entries[key]
        return entry.drop is not None and entry.pins == 0 and entry.worth <= worth

    def _make_room(self, nbytes: int, worth: Worth) -> None:
        """Drop what may go, cheap things first, until so many bytes are free or nothing more may go."""
        while self._used + nbytes > self.budget_bytes:
            oldest = (key for keys in self._order.values() for key in keys if self._may_go(key, worth))
            key = next(oldest, None)
            if key is None:
                return
            self._drop(key)

    def _drop(self, key: Key) -> None:
        drop = self._entries[key].drop
        self.give_back(key)
        if drop is not None:
            drop()
