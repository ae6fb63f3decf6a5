"""Undo against a model of a few lines: hypothesis draws the histories of four people on a real store (C5, C6, C9)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from nanobana.protocol.canvas import Layer
from nanobana.protocol.errors import BadInput, Conflict, NotFound
from nanobana.protocol.geometry import TILE, Box, tiles_of
from nanobana.protocol.messages import (
    LayerAdd,
    LayerDelete,
    LayerDuplicate,
    LayerGroup,
    LayerMerge,
    LayerMove,
    LayerOp,
    LayerSet,
    LayerUngroup,
    Paint,
)
from nanobana.protocol.stack import block, ordered
from nanobana.raster.compose import flatten
from nanobana.raster.pixels import Covered
from nanobana_server.store import Store, open_store, ops
from nanobana_server.store.ops.export import visible_pixels
from nanobana_server.store.ops.restack import beneath, copies
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
PICKS = st.integers(0, 7)
CANVAS = Box(0, 0, SIDE, SIDE)
COLOURS = st.tuples(st.integers(0, 255), st.integers(0, 255), st.integers(0, 255), st.just(255))


@dataclass
class Write:
    """What an act wrote on a layer: colours where it covered."""

    layer: str
    where: Covered
    colours: Pixels


@dataclass
class Act:
    """Something that somebody did, and whether it is in force."""

    user: str
    writes: list[Write] = field(default_factory=list)
    makes: set[str] = field(default_factory=set)
    takes: set[str] = field(default_factory=set)
    in_force: bool = True


@dataclass
class Model:
    """What undo means: a pixel shows the last act in force that covered it; people take back their own in order."""

    acts: list[Act] = field(default_factory=list)
    undone: dict[str, list[Act]] = field(default_factory=dict)

    def act(self, act: Act) -> None:
        self.acts.append(act)
        self.undone[act.user] = []

    def undo(self, user: str) -> bool:
        mine = [act for act in self.acts if act.user == user and act.in_force]
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

    def pixels(self, layer: str) -> Pixels:
        out = np.zeros((SIDE, SIDE, 4), np.uint8)
        for act in self.acts:
            for write in act.writes:
                if act.in_force and write.layer == layer:
                    out[write.where] = write.colours[write.where]
        return out

    def tiles(self, layer: str) -> Covered:
        """Where the layer has tiles: what goes, or is copied, with the whole layer."""
        where = np.zeros((SIDE, SIDE), np.bool_)
        drawn = self.pixels(layer)[..., 3] > 0
        for tx, ty in tiles_of(CANVAS):
            tile = np.s_[ty * TILE : (ty + 1) * TILE, tx * TILE : (tx + 1) * TILE]
            where[tile] = drawn[tile].any()
        return where

    def cleared(self, layer: str) -> Write:
        return Write(layer, self.tiles(layer), np.zeros((SIDE, SIDE, 4), np.uint8))

    def must_be_there(self) -> set[str]:
        """Layers that somebody made and nobody took away."""
        made = {layer for act in self.acts if act.in_force for layer in act.makes}
        return (made | {"base"}) - {layer for act in self.acts if act.in_force for layer in act.takes}

    def flat(self, layers: Sequence[Layer]) -> Pixels:
        out = np.zeros((SIDE, SIDE, 4), np.uint8)
        for layer in layers:
            drawn = self.pixels(layer.id)
            out[drawn[..., 3] > 0] = drawn[drawn[..., 3] > 0]
        return out


class Undo(RuleBasedStateMachine):
    """Everybody paints, changes layers and takes back; after every step each layer is the model's."""

    portal: BlockingPortal
    store: Store

    def __init__(self) -> None:
        super().__init__()
        self.easel = self.portal.call(lambda: Easel.new(self.store, width=SIDE, height=SIDE))
        self.model = Model()
        self.layers = self.portal.call(self.easel.manifest).layers

    @rule(user=PEOPLE, box=BOXES, colour=COLOURS, pick=PICKS)
    def paints(self, user: str, box: Box, colour: Colour, pick: int) -> None:
        layer = self._pick(pick)
        if layer is None or layer.group or not self._taken(self.easel.stroke(user, box, colour, layer=layer.id), user):
            return
        self.model.act(Act(user, [_stroke(layer.id, box, colour)]))

    @rule(user=PEOPLE, pick=PICKS)
    def adds_a_layer(self, user: str, pick: int) -> None:
        op, above = self.easel.op(user), self._pick(pick)
        message = LayerAdd(op=op, layer=f"{user}{op.n}", name="", above=above.id if above else None)
        if self._taken(message, user):
            self.model.act(Act(user, makes={message.layer}))

    @rule(user=PEOPLE, pick=PICKS)
    def deletes(self, user: str, pick: int) -> None:
        layer = self._pick(pick)
        inside = block(self.layers, layer.id) if layer else []
        if layer is None or not self._taken(LayerDelete(op=self.easel.op(user), layer=layer.id), user):
            return
        ids = {each.id for each in inside}
        self.model.act(Act(user, [self.model.cleared(each) for each in ids], takes=ids))

    @rule(user=PEOPLE, pick=PICKS)
    def duplicates(self, user: str, pick: int) -> None:
        layer, op = self._pick(pick), self.easel.op(user)
        if layer is None:
            return
        message = LayerDuplicate(op=op, layer=layer.id, copy=f"{user}{op.n}")
        ids = copies(self.layers, message)
        if self._taken(message, user):
            writes = [Write(copy, self.model.tiles(old), self.model.pixels(old)) for old, copy in ids.items()]
            self.model.act(Act(user, writes, makes=set(ids.values())))

    @rule(user=PEOPLE, pick=PICKS)
    def merges_down(self, user: str, pick: int) -> None:
        layer, layers = self._pick(pick), self.layers
        if layer is None or not self._taken(LayerMerge(op=self.easel.op(user), layer=layer.id), user):
            return
        inside = block(layers, layer.id)
        drawn = self.model.flat(inside)
        writes = [Write(beneath(layers, layer).id, drawn[..., 3] > 0, drawn)]
        writes += [self.model.cleared(each.id) for each in inside]
        self.model.act(Act(user, writes, takes={each.id for each in inside}))

    @rule(user=PEOPLE, picks=st.lists(PICKS, max_size=3))
    def groups(self, user: str, picks: list[int]) -> None:
        op = self.easel.op(user)
        members = [layer.id for pick in picks if (layer := self._pick(pick)) is not None]
        message = LayerGroup(op=op, layer=f"{user}{op.n}", name="", members=members)
        if self._taken(message, user):
            self.model.act(Act(user, makes={message.layer}))

    @rule(user=PEOPLE, pick=PICKS, into=st.none() | PICKS, index=st.integers(0, 5))
    def moves_or_ungroups(self, user: str, pick: int, into: int | None, index: int) -> None:
        layer, group = self._pick(pick), self._pick(into or 0)
        if layer is None:
            return
        op, parent = self.easel.op(user), group.id if group and group.group else ""
        message: LayerOp = LayerMove(op=op, layer=layer.id, index=index, parent=None if into is None else parent)
        if layer.group and index == 0:
            message = LayerUngroup(op=op, layer=layer.id)
        if self._taken(message, user):
            self.model.act(Act(user, takes={layer.id} if isinstance(message, LayerUngroup) else set()))

    @rule(user=PEOPLE, pick=PICKS, locked=st.sampled_from([True, False, False]))
    def locks(self, user: str, pick: int, locked: bool) -> None:
        layer = self._pick(pick)
        if layer and self._taken(LayerSet(op=self.easel.op(user), layer=layer.id, locked=locked), user):
            self.model.act(Act(user))

    @rule(user=PEOPLE, box=BOXES, colour=COLOURS)
    def paints_and_the_answer_is_lost(self, user: str, box: Box, colour: Colour) -> None:
        stroke = self.easel.stroke(user, box, colour)
        if not self._taken(stroke, user):
            return
        again = self.portal.call(ops.paint, self.store, self.easel.id, user, stroke)
        assert not again.first_time
        self.model.act(Act(user, [_stroke("base", box, colour)]))

    @precondition(lambda self: self.model.acts)
    @rule(user=PEOPLE)
    def undoes(self, user: str) -> None:
        self._turn(user, self.easel.undo, self.model.undo(user))

    @precondition(lambda self: any(self.model.undone.values()))
    @rule(user=PEOPLE)
    def redoes(self, user: str) -> None:
        self._turn(user, self.easel.redo, self.model.redo(user))

    @precondition(lambda self: self.model.acts)
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
    def every_layer_is_the_models(self) -> None:
        manifest = self.portal.call(self.easel.manifest)
        self.layers = manifest.layers
        ids = {layer.id for layer in self.layers}
        assert self.model.must_be_there() <= ids and self.layers == ordered(self.layers)
        names = {(ref.layer, ref.tx, ref.ty): ref.name for ref in manifest.tiles}
        tiles = self.portal.call(self.store.get_tiles, self.easel.id, list(names.values()))
        for layer in self.layers:
            if not layer.group:
                shown = flatten(
                    [Layer(id=layer.id, name="")], {key: tiles[name] for key, name in names.items()}, CANVAS
                )
                assert np.array_equal(shown, self.model.pixels(layer.id))

    @invariant()
    def the_picture_is_the_models(self) -> None:
        shown = self.portal.call(visible_pixels, self.store, self.easel.id)
        assert np.array_equal(shown, self.model.flat(self.layers))

    def _pick(self, pick: int) -> Layer | None:
        return self.layers[pick % len(self.layers)] if self.layers else None

    def _taken(self, message: LayerOp | Paint, user: str) -> bool:
        """Do an op; False where it was refused, which changes nothing."""
        before = self.portal.call(self.easel.look)
        try:
            if isinstance(message, Paint):
                self.portal.call(ops.paint, self.store, self.easel.id, user, message)
            else:
                self.portal.call(ops.layer_op, self.store, self.easel.id, user, message)
        except (BadInput, Conflict, NotFound) as error:
            refused = error.code
        else:
            return True
        assert refused in ("layer_locked", "layer_gone", "nothing_below", "bad_group", "is_group", "too_deep")
        assert self.portal.call(self.easel.look) == before
        return False

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


def _stroke(layer: str, box: Box, colour: Colour) -> Write:
    where, colours = np.zeros((SIDE, SIDE), np.bool_), np.zeros((SIDE, SIDE, 4), np.uint8)
    where[box.y0 : box.y1, box.x0 : box.x1] = True
    colours[where] = colour
    return Write(layer, where, colours)


@pytest.fixture(scope="module")
def machine() -> Iterator[type[Undo]]:
    with private_valkey(fsync="no") as valkey, start_blocking_portal() as portal:
        store = portal.call(open_store, valkey.url)
        yield type("UndoOnValkey", (Undo,), {"portal": portal, "store": store})
        portal.call(store.aclose)


@pytest.mark.timeout(120)
def test_c9_everybody_takes_back_their_own_and_nothing_else(machine: type[Undo]) -> None:
    few = settings(max_examples=20, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck))
    run_state_machine_as_test(machine, settings=few)


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_c9_everybody_takes_back_their_own_in_a_thousand_histories(machine: type[Undo]) -> None:
    many = settings(max_examples=1000, stateful_step_count=60, deadline=None, suppress_health_check=list(HealthCheck))
    run_state_machine_as_test(machine, settings=many)
