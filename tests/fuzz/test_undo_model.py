"""Undo against a model of a few lines: hypothesis draws the histories of eight people in a real room (C5, C6, C9, C11).

They paint, change layers, ask for edits, accept and discard results, take back and do again, lose their connections and
are sent away. After every step each layer is the model's, pixel by pixel, and all who are there have the same canvas.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from anyio.from_thread import start_blocking_portal
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule, run_state_machine_as_test

from nanobana.protocol import messages as m
from nanobana.protocol.geometry import Box
from nanobana.protocol.parameters import EditParams
from nanobana.protocol.stack import block
from nanobana_server.jobs.results import stage
from nanobana_server.store.ops.restack import beneath, copies
from support.party import BOXES, COLOURS, LOST, OTHERS, OWNER, PEOPLE, PICKS, Asked, Party, a_room
from support.strokes import Colour, mask_png
from support.undo_model import Act, Write, stroke
from support.valkey import private_valkey
from support.work import result_of, taken


class Together(Party):
    """What eight people may do to one canvas."""

    # ── layers and pixels ───────────────────────────────────────────────────────────────────────────────────────

    @rule(user=PEOPLE, box=BOXES, colour=COLOURS, pick=PICKS, lost=LOST)
    def paints(self, user: str, box: Box, colour: Colour, pick: int, lost: bool) -> None:
        layer = self.pick(pick)
        if layer is None or layer.group or not self.taken(user, self.stroke(user, layer.id, box, colour), lost=lost):
            return
        self.model.act(Act(user, [stroke(layer.id, box, colour)]))

    @rule(user=PEOPLE, pick=PICKS, lost=LOST)
    def adds_a_layer(self, user: str, pick: int, lost: bool) -> None:
        op, above = self.op(user), self.pick(pick)
        message = m.LayerAdd(op=op, layer=f"{user}{op.n}", name="", above=above.id if above else None)
        if self.taken(user, message, lost=lost):
            self.model.act(Act(user, makes={message.layer}))

    @rule(user=PEOPLE, pick=PICKS, lost=LOST)
    def deletes(self, user: str, pick: int, lost: bool) -> None:
        layer = self.pick(pick)
        ids = {each.id for each in block(self.layers, layer.id)} if layer else set()
        if layer is None or not self.taken(user, m.LayerDelete(op=self.op(user), layer=layer.id), lost=lost):
            return
        self.model.act(Act(user, [self.model.cleared(each) for each in ids], takes=ids))

    @rule(user=PEOPLE, pick=PICKS)
    def duplicates(self, user: str, pick: int) -> None:
        layer, op = self.pick(pick), self.op(user)
        if layer is None:
            return
        message = m.LayerDuplicate(op=op, layer=layer.id, copy=f"{user}{op.n}")
        ids = copies(self.layers, message)
        if self.taken(user, message):
            writes = [Write(copy, self.model.tiles(old), self.model.pixels(old)) for old, copy in ids.items()]
            self.model.act(Act(user, writes, makes=set(ids.values())))

    @rule(user=PEOPLE, pick=PICKS)
    def merges_down(self, user: str, pick: int) -> None:
        layer, layers = self.pick(pick), self.layers
        if layer is None or not self.taken(user, m.LayerMerge(op=self.op(user), layer=layer.id)):
            return
        inside = block(layers, layer.id)
        drawn = self.model.flat(inside)
        writes = [Write(beneath(layers, layer).id, drawn[..., 3] > 0, drawn)]
        writes += [self.model.cleared(each.id) for each in inside]
        self.model.act(Act(user, writes, takes={each.id for each in inside}))

    @rule(user=PEOPLE, picks=st.lists(PICKS, max_size=3))
    def groups(self, user: str, picks: list[int]) -> None:
        op = self.op(user)
        members = [layer.id for pick in picks if (layer := self.pick(pick)) is not None]
        message = m.LayerGroup(op=op, layer=f"{user}{op.n}", name="", members=members)
        if self.taken(user, message):
            self.model.act(Act(user, makes={message.layer}))

    @rule(user=PEOPLE, pick=PICKS, into=st.none() | PICKS, index=st.integers(0, 5))
    def moves_or_ungroups(self, user: str, pick: int, into: int | None, index: int) -> None:
        layer, group = self.pick(pick), self.pick(into or 0)
        if layer is None:
            return
        op, parent = self.op(user), group.id if group and group.group else ""
        message: m.LayerOp = m.LayerMove(op=op, layer=layer.id, index=index, parent=None if into is None else parent)
        if layer.group and index == 0:
            message = m.LayerUngroup(op=op, layer=layer.id)
        if self.taken(user, message):
            self.model.act(Act(user, takes={layer.id} if isinstance(message, m.LayerUngroup) else set()))

    @rule(user=PEOPLE, pick=PICKS, locked=st.sampled_from([True, False, False]))
    def locks(self, user: str, pick: int, locked: bool) -> None:
        layer = self.pick(pick)
        if layer and self.taken(user, m.LayerSet(op=self.op(user), layer=layer.id, locked=locked)):
            self.model.act(Act(user))

    # ── edits ───────────────────────────────────────────────────────────────────────────────────────────────────

    @rule(user=PEOPLE, box=BOXES, pick=st.none() | PICKS, lost=LOST)
    def asks_for_an_edit(self, user: str, box: Box, pick: int | None, lost: bool) -> None:
        layer = None if pick is None else self.pick(pick)
        self._ask(user, box, layer.id if layer and not layer.group else None, lost=lost)

    @precondition(lambda self: not all(asked.is_staged for asked in self.jobs.values()))
    @rule(pick=PICKS)
    def an_engine_finishes(self, pick: int) -> None:
        running = [job for job, asked in self.jobs.items() if not asked.is_staged]
        self._finish(running[pick % len(running)])

    @precondition(lambda self: self.jobs)
    @rule(pick=PICKS, accept=st.booleans(), new_layer=st.booleans(), own=st.booleans(), lost=LOST)
    def decides(self, pick: int, accept: bool, new_layer: bool, own: bool, lost: bool) -> None:
        job = list(self.jobs)[pick % len(self.jobs)]
        self._decide(job, own=own, accept=accept, new_layer=new_layer, lost=lost)

    @rule(user=PEOPLE, box=BOXES, new_layer=st.booleans(), own=st.booleans())
    def fills(self, user: str, box: Box, new_layer: bool, own: bool) -> None:
        """An edit from the wish to the picture; whoever accepts it, it is its author's to take back."""
        job = self._ask(user, box, None)
        if job is not None:
            self._finish(job)
            self._decide(job, own=own, accept=True, new_layer=new_layer)

    @precondition(lambda self: self.jobs)
    @rule(pick=PICKS)
    def cancels(self, pick: int) -> None:
        job = list(self.jobs)[pick % len(self.jobs)]
        user = self.jobs[job].user
        assert self.taken(user, m.Cancel(op=self.op(user), job=job))
        self.over(job)

    # ── taking back ─────────────────────────────────────────────────────────────────────────────────────────────

    @precondition(lambda self: self.model.acts)
    @rule(user=PEOPLE, lost=LOST)
    def undoes(self, user: str, lost: bool) -> None:
        self.undo(user, lost=lost)

    @precondition(lambda self: any(self.model.undone.values()))
    @rule(user=PEOPLE, lost=LOST)
    def redoes(self, user: str, lost: bool) -> None:
        self.redo(user, lost=lost)

    @precondition(lambda self: self.model.acts)
    @rule(user=PEOPLE, steps=st.integers(1, 6))
    def goes_back_and_forth(self, user: str, steps: int) -> None:
        """Figma's rule: undo a lot, redo to the present, and nothing has changed."""
        before = self.portal.call(self.easel.look)
        taken_back = sum(self.undo(user) for _ in range(steps))
        for _ in range(taken_back):
            self.redo(user)
        assert self.portal.call(self.easel.look) == before

    # ── coming and going ────────────────────────────────────────────────────────────────────────────────────────

    @rule(user=PEOPLE)
    def goes_away(self, user: str) -> None:
        self.portal.call(self.seats[user].leave)

    @rule(user=OTHERS, box=BOXES, colour=COLOURS, pick=PICKS)
    def is_kicked_in_the_middle_of_a_stroke(self, user: str, box: Box, colour: Colour, pick: int) -> None:
        """They may come again, and what they were saying counts once, whether it was heard the first time or not."""
        seat, layer = self.seat(user), self.pick(pick)
        message = self.stroke(user, "none" if layer is None or layer.group else layer.id, box, colour)
        self.portal.call(seat.start, message)
        self.portal.call(self.kick, seat.user)
        assert self.portal.call(seat.sent_away) == m.CLOSE_KICKED
        if self.taken(user, message):
            self.model.act(Act(user, [stroke(message.layer, box, colour)]))

    @rule()
    def upkeep(self) -> None:
        self.portal.call(lambda: self.store.archive_log(self.easel.id, kept_ms=0, chapter=3))

    # ── inside ──────────────────────────────────────────────────────────────────────────────────────────────────

    def _ask(self, user: str, box: Box, layer: str | None, *, lost: bool = False) -> str | None:
        op = self.op(user)
        params = EditParams(box=box, mask_png=mask_png(box), prompt="a pear", layer=layer)
        if not self.taken(user, m.Edit(op=op, edit=params), lost=lost):
            return None
        for job, asked in list(self.jobs.items()):
            if asked.user == user and not asked.is_staged and not asked.box.intersect(box).is_empty:
                self.over(job)  # one's own newer edit of the same place takes its turn
        job = f"{op.client}-{op.n}"
        self.jobs[job] = Asked(user, box, (len(self.model.acts) % 256, op.n % 256, 0, 255))
        self.model.act(Act(user, job=job))
        return job

    def _finish(self, job: str) -> None:
        """As an engine does."""
        asked = self.jobs[job]
        asked.is_staged = True

        async def finish() -> None:
            claim = await taken(self.easel, job)
            result = await result_of(self.easel, job, claim.attempt, asked.box, asked.colour)
            assert await stage(self.store, result) is not None

        self.portal.call(finish)

    def _decide(self, job: str, *, own: bool, accept: bool, new_layer: bool, lost: bool = False) -> None:
        asked = self.jobs[job]
        user = asked.user if own else OWNER
        if not self.taken(user, m.Decide(op=self.op(user), job=job, accept=accept, new_layer=new_layer), lost=lost):
            return
        self.over(job)
        if accept:
            change = self.change(self.said)
            (target,) = {tile.layer for tile in change.tiles}
            makes = {target} if change.layers is not None else set()
            self.model.act(Act(asked.user, [stroke(target, asked.box, asked.colour)], makes=makes))


@pytest.fixture(scope="module")
def machine() -> Iterator[type[Together]]:
    with (
        private_valkey(fsync="no") as valkey,
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(a_room(valkey.url)) as (store, server),
    ):
        yield type("TogetherOnValkey", (Together,), {"portal": portal, "store": store, "server": server})


def run(machine: type[Together], histories: int, steps: int) -> None:
    told = settings(max_examples=histories, stateful_step_count=steps, suppress_health_check=list(HealthCheck))
    run_state_machine_as_test(machine, settings=told)


@pytest.mark.timeout(300)
def test_c9_everybody_takes_back_their_own_and_nothing_else(machine: type[Together]) -> None:
    run(machine, histories=16, steps=25)


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_c9_everybody_takes_back_their_own_in_a_thousand_histories(machine: type[Together]) -> None:
    run(machine, histories=1000, steps=60)
