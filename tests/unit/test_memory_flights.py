"""Things in the making: made once for all who want them, given up when nobody does (E9)."""

from __future__ import annotations

import threading
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from nanobana_engine.memory.flights import Flights, GoesOn


def wanted() -> bool:
    return True


def unwanted() -> bool:
    return False


class Workshop:
    """Makes things in steps that the test allows one by one."""

    def __init__(self) -> None:
        self.flights: Flights[str, str] = Flights()
        self.threads = ThreadPoolExecutor(4)
        self.begun = threading.Event()
        self.may_go_on = threading.Event()
        self.made = 0

    def ask(self, goes_on: GoesOn) -> Future[str | None]:
        return self.threads.submit(self.flights.make, "thing", self._work, goes_on)

    def _work(self, goes_on: GoesOn) -> str | None:
        self.begun.set()
        self.may_go_on.wait()
        if not goes_on():
            return None
        self.made += 1
        return f"thing {self.made}"


@pytest.fixture
def workshop() -> Workshop:
    return Workshop()


def joined(workshop: Workshop) -> None:
    """Wait until a second one waits for the thing."""
    flight = workshop.flights._under_way["thing"]
    while len(flight.wants) < 2:
        threading.Event().wait(0.001)


def test_e9_two_who_want_the_same_at_once_get_one_thing(workshop: Workshop) -> None:
    first = workshop.ask(wanted)
    workshop.begun.wait()
    second = workshop.ask(wanted)
    joined(workshop)
    workshop.may_go_on.set()
    assert first.result() == second.result() == "thing 1"
    assert len(workshop.flights) == 0


def test_e9_what_nobody_wants_any_more_is_given_up(workshop: Workshop) -> None:
    first = workshop.ask(unwanted)
    workshop.may_go_on.set()
    assert first.result() is None
    assert workshop.made == 0


def test_e9_an_edit_that_waits_for_what_was_prepared_keeps_it_from_being_given_up(workshop: Workshop) -> None:
    ahead = workshop.ask(unwanted)
    workshop.begun.wait()
    edit = workshop.ask(wanted)
    joined(workshop)
    workshop.may_go_on.set()
    assert edit.result() == "thing 1"
    assert ahead.result() == "thing 1"


def test_an_error_reaches_all_who_wait_and_the_next_one_tries_again() -> None:
    flights: Flights[str, str] = Flights()

    def breaks(goes_on: GoesOn) -> str | None:
        raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken"):
        flights.make("thing", breaks, wanted)
    assert flights.make("thing", lambda _: "whole", wanted) == "whole"
