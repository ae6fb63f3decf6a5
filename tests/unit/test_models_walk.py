"""A call that owns its loop, walked one step at a time."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from nanobana_engine.models.walk import Walk


def test_it_stands_still_after_each_step_and_ends_with_its_result() -> None:
    made: list[int] = []

    def count(pause: Callable[[int], None]) -> str:
        for n in range(3):
            made.append(n)
            pause(n)
        return "three"

    walk = Walk(count)
    assert made == []
    walk.to(1)
    assert (made, walk.seen, walk.is_running) == ([0], 0, True)
    walk.to(2)
    assert (made, walk.at, walk.result) == ([0, 1], 2, None)
    walk.to(None)
    assert (walk.at, walk.result, walk.is_over, walk.is_running) == (3, "three", True, False)
    walk.to(9)
    assert made == [0, 1, 2]


def test_two_walks_go_by_turns() -> None:
    said: list[str] = []

    def speak(word: str) -> Callable[[Callable[[str], None]], None]:
        def call(pause: Callable[[str], None]) -> None:
            for _ in range(2):
                said.append(word)
                pause(word)

        return call

    walks = [Walk(speak(word)) for word in "ab"]
    for step in (1, 2, None):
        for walk in walks:
            walk.to(step)
    assert said == ["a", "b", "a", "b"]


def test_stopped_in_the_middle_it_unwinds_and_leaves_no_thread() -> None:
    undone: list[str] = []
    before = threading.active_count()

    def careful(pause: Callable[[int], None]) -> None:
        try:
            for n in range(100):
                try:
                    pause(n)
                except Exception:  # noqa: BLE001 - what pipelines do
                    undone.append("swallowed")
        finally:
            undone.append("unwound")

    walk = Walk(careful)
    walk.to(5)
    walk.stop()
    assert undone == ["unwound"]
    assert (threading.active_count(), walk.is_running) == (before, False)
    walk.stop()


def test_what_the_call_raises_is_raised_where_it_was_told_to_go_on_and_it_can_begin_anew() -> None:
    begun: list[int] = []

    def fragile(pause: Callable[[int], None]) -> str:
        begun.append(0)
        pause(1)
        if len(begun) == 1:
            raise MemoryError("too much")
        pause(2)
        return "done"

    walk = Walk(fragile)
    walk.to(1)
    with pytest.raises(MemoryError, match="too much"):
        walk.to(2)
    walk.to(2)
    assert (walk.at, walk.seen, len(begun)) == (2, 2, 2)
    walk.to(None)
    assert walk.result == "done"
