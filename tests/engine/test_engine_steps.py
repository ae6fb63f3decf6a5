"""The loop step by step, without its thread: receive, schedule, run, emit; and that nothing is left (E7, E8)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from nanobana.protocol.geometry import Box
from nanobana_engine.engine import EditFailed, EditFinished, EditProgress, Engine, Source
from nanobana_engine.engine.events import EditEvent
from nanobana_engine.models.base import Item
from nanobana_engine.models.nano.adapter import NanoAdapter
from support.adapters import BrokenAdapter, PixelAdapter, TinyUNetAdapter
from support.edits import mask_in, photo, source_of

PICTURE = photo(200, 200)
MASK = mask_in(200, 200, Box(70, 70, 130, 120))


class Stepped:
    """An engine that moves only when told."""

    def __init__(self, adapter: PixelAdapter, budget: float = 4.0) -> None:
        self.adapter = adapter
        self.events: list[EditEvent] = []
        self.engine = Engine(adapter, self.events.append, budget=budget, clock=self._pictures)

    def _pictures(self) -> float:
        """A clock on which every picture of a step takes a second."""
        return float(sum(self.adapter.calls))

    def submit(self, id: str, user: str = "ana", **edit: Any) -> Source:  # noqa: A002
        source = source_of(PICTURE, MASK, self.adapter.preset, id=id, user=user, **edit)
        self.engine.submit(source)
        return source

    def step(self) -> list[str]:
        """One step; the edits that were told of."""
        before = len(self.events)
        assert self.engine.receive()
        self.engine.step()
        return [event.id for event in self.events[before:]]

    def run_out(self) -> int:
        """Until nothing is left to do, proving that nothing leaked; how many steps that took."""
        for count in range(1000):
            assert self.engine.receive()
            if not self.engine.step():
                self.engine.integrity.prove()
                return count
        raise AssertionError("it never ends")

    def ends(self) -> dict[str, type[EditEvent]]:
        return {event.id: type(event) for event in self.events if not isinstance(event, EditProgress)}

    def steps_of(self, edit: str) -> int:
        """Steps told of an edit, its first look left out."""
        return sum(isinstance(event, EditProgress) and event.id == edit and event.step > 0 for event in self.events)


class OnePicture(PixelAdapter):
    """Every edit costs one picture."""

    def cost(self, item: Item) -> float:
        del item
        return 1.0


def test_e7_an_edit_takes_as_many_steps_as_it_has_and_ends_once() -> None:
    on = Stepped(OnePicture())
    on.submit("one", quality="best")
    assert on.run_out() == 6
    assert on.ends() == {"one": EditFinished}


def test_e7_edits_of_different_steps_prompts_masks_and_guidance_join_and_leave_a_running_batch() -> None:
    adapter = TinyUNetAdapter()
    on = Stepped(adapter)
    on.submit("long", "ana", quality="best", prompt="one", guidance=2.0)
    on.step()
    on.step()
    on.submit("short", "ben", quality="draft", prompt="two", seed=3, strength=0.6)
    assert on.step().count("short") == 2, "its first look and its first step, together with the other's third"
    assert adapter.calls == [1, 1, 2]
    on.run_out()
    assert on.ends() == {"long": EditFinished, "short": EditFinished}
    assert adapter.calls == [1, 1, 2, 2, 2, 1]


def test_e7_a_flood_delays_another_by_one_step_and_never_takes_one_without_them() -> None:
    on = Stepped(OnePicture())
    for n in range(20):
        on.submit(f"flood-{n}", "ana")
    on.step()
    on.step()
    on.submit("ben", "ben")
    told = [on.step() for _ in range(4)]
    assert all("ben" in step for step in told), "it joins at the very next step and takes part in each"
    assert on.ends()["ben"] is EditFinished
    assert max(on.adapter.calls[-4:]) == 2, "and each is one picture longer than it would be alone"


def test_e7_a_flood_is_encoded_one_edit_a_step() -> None:
    on = Stepped(OnePicture())
    for n in range(20):
        on.submit(f"flood-{n}", "ana")
    for _ in range(3):
        first_looks = [event for event in on.events if isinstance(event, EditProgress) and event.step == 0]
        on.step()
        now = [event for event in on.events if isinstance(event, EditProgress) and event.step == 0]
        assert len(now) == len(first_looks) + 1


def test_e8_a_cancelled_edit_is_told_of_no_more_and_touches_nobody() -> None:
    on = Stepped(OnePicture())
    on.submit("goes", "ana", quality="best")
    on.submit("keeps", "ben", quality="best")
    on.step()
    on.step()
    before = on.steps_of("goes")
    on.engine.cancel("goes")
    on.run_out()
    assert on.steps_of("goes") == before
    assert on.ends() == {"keeps": EditFinished}
    assert on.steps_of("keeps") == 6


def test_e8_what_fails_is_cancelled_or_is_submitted_twice_leaves_nothing_behind() -> None:
    on = Stepped(BrokenAdapter("break it"))
    on.submit("bad", prompt="break it")
    on.submit("good", "ben")
    on.submit("good", "ben")
    on.submit("gone", "cleo")
    on.engine.cancel("gone")
    on.engine.cancel("never there")
    on.run_out()
    assert on.ends() == {"bad": EditFailed, "good": EditFinished}


def test_e11_the_batch_that_an_edit_meets_changes_none_of_its_pixels() -> None:
    def patch(company: int) -> np.ndarray[Any, Any]:
        on = Stepped(TinyUNetAdapter(), budget=100.0)
        source = on.submit("edit", "ana")
        for n in range(company):
            on.submit(f"other-{n}", f"user-{n}", seed=n, quality="best" if n % 2 else "draft")
            on.step()
        on.run_out()
        (end,) = [event for event in on.events if isinstance(event, EditFinished) and event.id == source.id]
        return end.patches()[0]

    alone = patch(0)
    for company in (1, 3, 6):
        assert np.abs(alone.astype(int) - patch(company)).max() <= 1


def test_e11_nano_gives_the_same_pixels_alone_or_batched_with_anybody() -> None:
    adapter = NanoAdapter.shipped()
    picture = photo(384, 384)

    def patches(users: int) -> list[np.ndarray[Any, Any]]:
        """Of the edit with so many others, whose prompts, sizes, steps and seeds differ."""
        done: dict[str, EditFinished] = {}

        def tell(event: EditEvent) -> None:
            assert not isinstance(event, EditFailed)
            if isinstance(event, EditFinished):
                done[event.id] = event

        engine = Engine(adapter, tell, budget=8.0)
        prompts, qualities = ("a red apple", "a cat", ""), ("draft", "balanced", "best")
        for n in range(users + 1):
            side = 64 + 8 * (n % 3)
            mask = mask_in(384, 384, Box(100 + 9 * n, 120, 100 + 9 * n + side, 120 + side))
            wish: dict[str, Any] = {"prompt": prompts[n % 3], "quality": qualities[n % 3], "seed": n + 1}
            engine.submit(source_of(picture, mask, adapter.preset, id=f"e{n}", user=f"u{n}", **wish))
        while len(done) <= users:
            engine.receive()
            engine.step()
        engine.integrity.prove()
        return done["e0"].patches()

    alone = patches(0)
    for users in (1, 5):
        for one, other in zip(alone, patches(users), strict=True):
            assert np.abs(one.astype(int) - other).max() <= 1


def test_integrity_names_the_part_whose_books_do_not_agree(caplog: pytest.LogCaptureFixture) -> None:
    on = Stepped(OnePicture())
    on.engine.integrity.prove()

    def leaks() -> None:
        raise AssertionError("7 bytes too many")

    on.engine.integrity.add("guesses", leaks)
    with pytest.raises(AssertionError, match="guesses: 7 bytes"):
        on.engine.integrity.prove()
    on.engine.integrity.report()
    on.engine.integrity.report()
    assert caplog.text.count("integrity: guesses: 7 bytes too many") == 1
    on.submit("runs")
    on.step()
    with pytest.raises(AssertionError, match=r"engine: \['runs'\] are still running"):
        on.engine.integrity.prove()
