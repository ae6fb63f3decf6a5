"""Undo against a model of a few lines: hypothesis draws the histories of four people on a real store (C5, C6, C9)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from nanobana.protocol.errors import NotFound
from nanobana.protocol.geometry import Box
from nanobana_server.store import Store, open_store, ops
from nanobana_server.store.ops.export import visible_pixels
from nanobana_server.store.types import Committed
from support.strokes import Colour, Easel, Pixels
from support.valkey import private_valkey

Turn = Callable[[str], Awaitable[Committed]]

SIDE = 300
"""Two by two tiles, most strokes over a border."""
PEOPLE = st.sampled_from(["ana", "ben", "cy", "dee"])
BOXES = st.builds(
    lambda x, y, w, h: Box(x, y, min(SIDE, x + w), min(SIDE, y + h)),
    st.integers(0, SIDE - 1), st.integers(0, SIDE - 1), st.integers(1, 150), st.integers(1, 150),
)  # fmt: skip
COLOURS = st.tuples(st.integers(0, 255), st.integers(0, 255), st.integers(0, 255), st.just(255))


@dataclass
class Stroke:
    """Something that somebody did, and whether it is in force."""

    user: str
    box: Box
    colour: Colour
    in_force: bool = True


@dataclass
class Model:
    """What undo means: a pixel shows the last stroke in force that covered it; people take back their own in order."""

    strokes: list[Stroke] = field(default_factory=list)
    undone: dict[str, list[Stroke]] = field(default_factory=dict)

    def paint(self, stroke: Stroke) -> None:
        self.strokes.append(stroke)
        self.undone[stroke.user] = []

    def undo(self, user: str) -> bool:
        mine = [stroke for stroke in self.strokes if stroke.user == user and stroke.in_force]
        if not mine:
            return False
        mine[-1].in_force = False
        self.undone.setdefault(user, []).append(mine[-1])
        return True

    def redo(self, user: str) -> bool:
        if not self.undone.get(user):
            return False
        self.undone[user].pop().in_force = True
        return True

    def picture(self) -> Pixels:
        out = np.zeros((SIDE, SIDE, 4), np.uint8)
        for stroke in self.strokes:
            if stroke.in_force:
                box = stroke.box
                out[box.y0 : box.y1, box.x0 : box.x1] = stroke.colour
        return out


class Undo(RuleBasedStateMachine):
    """Everybody paints and takes back; after every step the picture is the model's."""

    portal: BlockingPortal
    store: Store

    def __init__(self) -> None:
        super().__init__()
        self.easel = self.portal.call(lambda: Easel.new(self.store, width=SIDE, height=SIDE))
        self.model = Model()

    @rule(user=PEOPLE, box=BOXES, colour=COLOURS)
    def paints(self, user: str, box: Box, colour: Colour) -> None:
        self.portal.call(self.easel.paint, user, box, colour)
        self.model.paint(Stroke(user, box, colour))

    @rule(user=PEOPLE, box=BOXES, colour=COLOURS)
    def paints_and_the_answer_is_lost(self, user: str, box: Box, colour: Colour) -> None:
        stroke = self.easel.stroke(user, box, colour)
        first = self.portal.call(ops.paint, self.store, self.easel.id, user, stroke)
        again = self.portal.call(ops.paint, self.store, self.easel.id, user, stroke)
        assert again.seq == first.seq and not again.first_time
        self.model.paint(Stroke(user, box, colour))

    @precondition(lambda self: self.model.strokes)
    @rule(user=PEOPLE)
    def undoes(self, user: str) -> None:
        self._turn(user, self.easel.undo, self.model.undo(user))

    @precondition(lambda self: any(self.model.undone.values()))
    @rule(user=PEOPLE)
    def redoes(self, user: str) -> None:
        self._turn(user, self.easel.redo, self.model.redo(user))

    @precondition(lambda self: self.model.strokes)
    @rule(user=PEOPLE, steps=st.integers(1, 6))
    def goes_back_and_forth(self, user: str, steps: int) -> None:
        """Figma's rule: undo a lot, redo to the present, and nothing has changed."""
        before = self.portal.call(self.easel.look)
        taken = sum(self._try(user, self.easel.undo) for _ in range(steps))
        for _ in range(taken):
            assert self._try(user, self.easel.redo)
        assert self.portal.call(self.easel.look) == before

    @rule()
    def upkeep(self) -> None:
        self.portal.call(lambda: self.store.archive_log(self.easel.id, kept_ms=0, chapter=3))

    @invariant()
    def the_picture_is_the_models(self) -> None:
        shown = self.portal.call(visible_pixels, self.store, self.easel.id)
        assert np.array_equal(shown, self.model.picture())

    def _turn(self, user: str, turn: Turn, possible: bool) -> None:
        assert self._try(user, turn) == possible

    def _try(self, user: str, turn: Turn) -> bool:
        try:
            self.portal.call(turn, user)
        except NotFound as refused:
            if refused.code not in ("nothing_to_undo", "nothing_to_redo"):
                raise
            return False
        return True


@pytest.fixture(scope="module")
def machine() -> Iterator[type[Undo]]:
    with private_valkey(fsync="no") as valkey, start_blocking_portal() as portal:
        store = portal.call(open_store, valkey.url)
        yield type("UndoOnValkey", (Undo,), {"portal": portal, "store": store})
        portal.call(store.aclose)


@pytest.mark.timeout(120)
def test_c9_everybody_takes_back_their_own_and_nothing_else(machine: type[Undo]) -> None:
    few = settings(max_examples=20, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck))
    run_state_machine_as_test(machine, settings=few)


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_c9_everybody_takes_back_their_own_in_a_thousand_histories(machine: type[Undo]) -> None:
    many = settings(max_examples=1000, stateful_step_count=60, deadline=None, suppress_health_check=list(HealthCheck))
    run_state_machine_as_test(machine, settings=many)
