"""Eight people in a real room, and what must hold between them; the rules by which they act are in tests/fuzz."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial

import httpx2 as httpx
import msgspec
import numpy as np
from anyio.from_thread import BlockingPortal
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant

from nanobana.protocol import messages as m
from nanobana.protocol.canvas import Change, Layer, Manifest, OpId
from nanobana.protocol.geometry import Box
from nanobana.protocol.stack import ordered
from nanobana.raster.codec import encode_png
from nanobana.raster.compose import flatten
from nanobana_server.room.limits import Allowance
from nanobana_server.store import Store, open_store
from nanobana_server.store.ops.export import visible_pixels
from support.live_server import Links, LiveServer, live_server
from support.members import PATIENCE_S, ticket_of
from support.seat import Seat
from support.strokes import Colour, Easel, flat
from support.truth import same
from support.undo_model import CANVAS, SIDE, Act, Model

NAMES = ("ana", "ben", "cy", "dee", "eve", "fay", "gil", "hal")
OWNER = "hal"
PEOPLE = st.sampled_from(NAMES)
OTHERS = st.sampled_from(NAMES[:-1])
BOXES = st.builds(
    lambda x, y, w, h: Box(x, y, min(SIDE, x + w), min(SIDE, y + h)),
    st.integers(0, SIDE - 1), st.integers(0, SIDE - 1), st.integers(1, 150), st.integers(1, 150),
)  # fmt: skip
PICKS = st.integers(0, 7)
COLOURS = st.tuples(st.integers(0, 255), st.integers(0, 255), st.integers(1, 255), st.just(255))
LOST = st.sampled_from([False, False, False, True])
"""Whether the answer to an op is lost with the connection, so that it is said again by the next one."""
REFUSALS = {
    "layer_locked",
    "layer_gone",
    "nothing_below",
    "bad_group",
    "is_group",
    "too_deep",
    "not_staged",
    "too_many_edits",
}
FREE = Allowance(ops=(1e6, 1e6), refused=(1e6, 1e6), bytes=(1e9, 1e9), volatile=(1e6, 1e6))


@dataclass
class Asked:
    """An edit that is open."""

    user: str
    box: Box
    colour: Colour
    """Of its result; no stroke has a blue of 0, so that it always shows."""
    is_staged: bool = False


class Party(RuleBasedStateMachine):
    """After each step every layer is the model's, pixel by pixel, and all who are there have the same canvas."""

    portal: BlockingPortal
    store: Store
    server: LiveServer

    def __init__(self) -> None:
        super().__init__()
        links: Links = self.portal.call(partial(self.server.new_canvas, SIDE, SIDE))
        self.easel = Easel(self.store, links.owner.canvas)
        self.seats = {name: Seat(name, links.owner if name == OWNER else links.edit) for name in NAMES}
        for seat in self.seats.values():
            self.portal.call(seat.sit)
        self.access = self.portal.call(ticket_of, links.owner)["access"]
        self.model = Model()
        self.jobs: dict[str, Asked] = {}
        self.layers: list[Layer] = []
        first = m.LayerAdd(op=self.op("ana"), layer="base", name="Base")
        assert self.taken("ana", first)
        self.model.act(Act("ana", makes={"base"}))
        self.every_layer_is_the_models_and_everybody_has_the_same_canvas()

    def teardown(self) -> None:
        for seat in self.seats.values():
            self.portal.call(seat.leave)

    # ── what must hold ──────────────────────────────────────────────────────────────────────────────────────────

    @invariant()
    def every_layer_is_the_models_and_everybody_has_the_same_canvas(self) -> None:
        manifest: Manifest = self.portal.call(self.easel.manifest)
        self.layers = manifest.layers
        assert self.model.must_be_there() <= {layer.id for layer in self.layers} and self.layers == ordered(self.layers)
        assert {job.id: job.state == "staged" for job in manifest.jobs} == {
            job: asked.is_staged for job, asked in self.jobs.items()
        }
        names = {(ref.layer, ref.tx, ref.ty): ref.name for ref in manifest.tiles}
        tiles = self.portal.call(self.store.get_tiles, self.easel.id, list(names.values()))
        drawn = {key: tiles[name] for key, name in names.items()}
        for layer in self.layers:
            if not layer.group:
                shown = flatten([Layer(id=layer.id, name="")], drawn, CANVAS)
                assert np.array_equal(shown, self.model.pixels(layer.id))
        shown = self.portal.call(visible_pixels, self.store, self.easel.id)
        assert np.array_equal(shown, self.model.flat(self.layers))
        there = same(manifest).digest()
        for seat in self.seats.values():
            if seat.is_here:
                self.portal.call(seat.see, manifest.position.seq)
                assert seat.replica.digest() == there, f"{seat.name} has another canvas"

    # ── inside ──────────────────────────────────────────────────────────────────────────────────────────────────

    def pick(self, pick: int) -> Layer | None:
        return self.layers[pick % len(self.layers)] if self.layers else None

    def op(self, user: str) -> OpId:
        return self.seats[user].op()

    def stroke(self, user: str, layer: str, box: Box, colour: Colour) -> m.Paint:
        return m.Paint(op=self.op(user), layer=layer, box=box, png=encode_png(flat(box, colour)))

    def seat(self, user: str) -> Seat:
        """Their seat; who was away comes back first."""
        seat = self.seats[user]
        if not seat.is_here:
            self.portal.call(seat.sit)
        return seat

    def _say(self, user: str, message: m.Op, *, lost: bool = False) -> int | str:
        seat = self.seat(user)
        return self.portal.call(seat.say_and_be_cut_off if lost else seat.say, message)

    def taken(self, user: str, message: m.Op, *, lost: bool = False) -> bool:
        """Do an op; False where it was refused, which changes nothing."""
        before = self.portal.call(self.easel.look)
        answer = self._say(user, message, lost=lost)
        if isinstance(answer, int):
            self.said = answer
            return True
        assert answer in REFUSALS
        assert self.portal.call(self.easel.look) == before
        return False

    def undo(self, user: str, *, lost: bool = False) -> bool:
        """True where it can be done again; an edit that ends by it is not."""
        top = self.model.top(user)
        answer = self._say(user, m.Undo(op=self.op(user)), lost=lost)
        assert answer == "nothing_to_undo" if top is None else isinstance(answer, int), answer
        self.model.undo(user)
        if top is not None and top.job:
            del self.jobs[top.job]
        return top is not None and not top.job

    def redo(self, user: str, *, lost: bool = False) -> None:
        answer = self._say(user, m.Redo(op=self.op(user)), lost=lost)
        assert isinstance(answer, int) if self.model.redo(user) else answer == "nothing_to_redo", answer

    def over(self, job: str) -> None:
        del self.jobs[job]
        self.model.decided(job)

    def change(self, seq: int) -> Change:
        entries = self.portal.call(self.store.read_tail, self.easel.id, seq - 1)
        return msgspec.msgpack.decode(entries[0][1], type=Change)

    async def kick(self, user: str) -> None:
        headers = {"authorization": f"Bearer {self.access}"}
        async with httpx.AsyncClient(verify=False, timeout=PATIENCE_S, headers=headers) as http:
            answer = await http.post(f"{self.seats[OWNER].link.api}/people/{user}/kick")
        assert answer.status_code == 204, answer.text


@asynccontextmanager
async def a_room(url: str) -> AsyncIterator[tuple[Store, LiveServer]]:
    store = await open_store(url)
    try:
        async with live_server(url, allowance=FREE) as server:
            yield store, server
    finally:
        await store.aclose()
