"""Rate limits let a burst through, then a steady trickle, and say how long to wait."""

import pytest

from nanobana_server.policy.rate import Rate


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_burst_goes_through_and_then_one_for_each_interval() -> None:
    clock = Clock()
    rate = Rate(per_second=10.0, burst=3.0, clock=clock)
    assert [rate.wait_for() for _ in range(3)] == [0.0, 0.0, 0.0]
    assert rate.wait_for() == pytest.approx(0.1)
    clock.now += 0.1
    assert rate.wait_for() == 0.0


def test_what_is_refused_costs_nothing() -> None:
    clock = Clock()
    rate = Rate(per_second=1.0, burst=1.0, clock=clock)
    rate.wait_for()
    assert [rate.wait_for() for _ in range(5)] == [pytest.approx(1.0)] * 5


def test_a_debt_is_paid_by_waiting() -> None:
    clock = Clock()
    rate = Rate(per_second=100.0, burst=100.0, clock=clock)
    assert rate.debt_of(150.0) == pytest.approx(0.5)
    clock.now += 1.5
    assert rate.debt_of(100.0) == 0.0
