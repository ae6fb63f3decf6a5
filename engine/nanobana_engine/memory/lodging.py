"""Networks that need be on the device only while they are called: kept while the book has room, lent room if not (E10).

No torch: how a network comes and goes is its own.
"""

from __future__ import annotations

from typing import Protocol

from nanobana_engine.memory.ledger import Key, Ledger, Worth


class Guest(Protocol):
    """One network."""

    @property
    def bytes(self) -> int:
        """Of its weights when it is in."""
        ...

    @property
    def is_in(self) -> bool:
        """Whether they are on the device."""
        ...

    def come(self) -> None:
        """Bring them there."""
        ...

    def go(self) -> None:
        """Let go of them there; must not wait."""
        ...


class Lodging:
    """Owned by the model thread, like all that is called there.

    A guest that comes is entered in the book, where whatever is used later may push it out between its calls. Where
    the book is full of work it comes all the same, one at a time, in the room that is booked for the largest call of
    the running edits (`Admission`), and goes when another one comes or the edits are over.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._lent: tuple[Key, Guest] | None = None

    def take_in(self, key: Key, guest: Guest) -> None:
        """A guest that was just loaded; one for which there is no room goes at once."""
        if guest.is_in and not self._keep(key, guest):
            guest.go()

    def enter(self, key: Key, guest: Guest) -> None:
        """It is about to be called."""
        if guest.is_in:
            if key in self._ledger:
                self._ledger.touch(key)
            return
        self.end_loan()
        is_kept = self._keep(key, guest)
        if not is_kept:
            self._lent = key, guest
        try:
            guest.come()
        except BaseException:
            self.let_go(key, guest)
            raise

    def has_room(self, guest: Guest) -> bool:
        """Whether it could be kept with nothing dropped for it but what is remembered."""
        return self._ledger.could_take(guest.bytes, Worth.CACHE)

    def is_lent(self, guest: Guest) -> bool:
        return self._lent is not None and self._lent[1] is guest

    def end_loan(self) -> None:
        """Whoever is in without an entry goes; called before the room that was lent is given back."""
        if self._lent is not None:
            self.let_go(*self._lent)

    def let_go(self, key: Key, guest: Guest) -> None:
        """It goes for now, wherever it was."""
        if self.is_lent(guest):
            self._lent = None
        self._ledger.give_back(key)
        guest.go()

    def check_integrity(self) -> None:
        """What must hold while no edit runs.

        Raises:
            AssertionError: a guest is in on a loan.
        """
        if self._lent is not None:
            raise AssertionError(f"{self._lent[0]} is in without an entry")

    def _keep(self, key: Key, guest: Guest) -> bool:
        return self._ledger.book(key, guest.bytes, Worth.MODEL, guest.go)
