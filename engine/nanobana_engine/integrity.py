"""Proof that nothing leaks: each part states what must hold while nothing runs, and is asked whenever that is so."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Protocol, runtime_checkable

log = logging.getLogger(__name__)

Check = Callable[[], None]
"""Raises AssertionError, saying what disagrees; cheap, and called where the part itself is used."""


@runtime_checkable
class Checked(Protocol):
    """A part that can prove that nothing leaked in it, e.g. an adapter or a cache."""

    def check_integrity(self) -> None:
        """Raises AssertionError, saying what disagrees."""
        ...


class Integrity:
    """The checks of the parts that one loop owns.

    What does not hold is a bug of ours: tests make it fail, a worker says so once for each part and goes on.
    """

    def __init__(self) -> None:
        self._checks: dict[str, Check] = {}
        self._told: set[str] = set()

    def add(self, part: str, check: Check) -> None:
        """Ask this part too; one of the same name is replaced."""
        self._checks[part] = check

    def prove(self) -> None:
        """Ask every part.

        Raises:
            AssertionError: naming the parts whose books do not agree, and how.
        """
        found = self._found()
        if found:
            raise AssertionError("; ".join(f"{part}: {why}" for part, why in found.items()))

    def report(self) -> None:
        """The same for a loop that must go on: what is found goes into the log, once for each part."""
        for part, why in self._found().items():
            if part not in self._told:
                self._told.add(part)
                log.error("integrity: %s: %s", part, why)

    def _found(self) -> dict[str, str]:
        found = {}
        for part, check in self._checks.items():
            try:
                check()
            except AssertionError as error:
                found[part] = str(error)
        return found
