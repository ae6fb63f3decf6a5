"""Several people do anything at once through several servers; whatever happens, log, manifest and blobs agree."""

import random
from collections.abc import Awaitable, Callable

import anyio
import pytest

from nanobana.keyspace import claims
from nanobana.keyspace.keys import CanvasKeys
from nanobana.protocol.canvas import TERMINAL, Layer, Variation
from nanobana.protocol.errors import BadInput, Conflict, NotAllowed, NotFound, TooMany
from nanobana.protocol.geometry import Box
from nanobana.protocol.jobs import JobResult
from nanobana.protocol.messages import (
    Cancel,
    CanvasSet,
    Decide,
    LayerAdd,
    LayerDelete,
    LayerDuplicate,
    LayerGroup,
    LayerMerge,
    LayerMove,
    LayerOp,
    LayerSet,
    LayerUngroup,
)
from nanobana.raster.codec import encode_png, encode_webp
from nanobana_server import jobs
from nanobana_server.jobs.results import stage
from nanobana_server.store import Store, ops
from nanobana_server.store.ops.export import visible_pixels
from support.strokes import Easel, author, flat

PEOPLE = 4
STEPS = 25


class Person:
    """Does random things through a server of their own; being refused is part of life."""

    def __init__(self, easel: Easel, store: Store, user: str, seed: int) -> None:
        self.easel = easel
        self.store = store
        self.user = user
        self.random = random.Random(f"{user}-{seed}")

    async def live(self) -> None:
        doings = [self.paint] * 8 + [self.undo] * 4 + [self.redo] * 3 + [self.layers] * 3
        doings += [self.edit] * 3 + [self.work] * 3 + [self.decide] * 3 + [self.resize, self.drop]
        for _ in range(STEPS):
            try:
                await self.random.choice(doings)()
            except (NotFound, Conflict, BadInput, NotAllowed, TooMany):
                continue

    def box(self) -> Box:
        x, y = self.random.randrange(0, 900), self.random.randrange(0, 600)
        return Box(x, y, x + self.random.randrange(1, 200), y + self.random.randrange(1, 200))

    def colour(self) -> tuple[int, int, int, int]:
        red, green, blue = self.random.randbytes(3)
        return red, green, blue, self.random.choice([255, 255, 120])

    async def layer(self) -> str:
        return self.random.choice((await self.easel.manifest()).layers or [Layer(id="none", name="")]).id

    async def paint(self) -> None:
        erase = self.random.random() < 0.2
        stroke = self.easel.stroke(self.user, self.box(), self.colour(), layer=await self.layer(), erase=erase)
        await ops.paint(self.store, self.easel.id, self.user, stroke)

    async def undo(self) -> None:
        await ops.undo(self.store, self.easel.id, self.user, self.easel.op(self.user))

    async def redo(self) -> None:
        await ops.redo(self.store, self.easel.id, self.user, self.easel.op(self.user))

    async def layers(self) -> None:
        op, layer, other = self.easel.op(self.user), await self.layer(), await self.layer()
        choices: list[LayerOp] = [
            LayerAdd(op=op, layer=f"l{self.user}{op.n}", name="new", above=layer),
            LayerSet(op=op, layer=layer, opacity=self.random.random(), visible=self.random.random() < 0.8),
            LayerMove(op=op, layer=layer, index=self.random.randrange(4), parent=self.random.choice([None, "", other])),
            LayerDelete(op=op, layer=layer),
            LayerGroup(op=op, layer=f"g{self.user}{op.n}", name="group", members=[layer, other]),
            LayerUngroup(op=op, layer=layer),
            LayerDuplicate(op=op, layer=layer, copy=f"d{self.user}{op.n}"),
            LayerMerge(op=op, layer=layer),
        ]
        message = self.random.choice(choices)
        await ops.layer_op(self.store, self.easel.id, self.user, message)

    async def resize(self) -> None:
        message = CanvasSet(op=self.easel.op(self.user), width=self.random.choice([1024, 900]), title=self.user)
        await ops.canvas_set(self.store, self.easel.id, self.user, message)

    async def drop(self) -> None:
        data = encode_png(flat(Box(0, 0, 300, 200), self.colour()))
        op = self.easel.op(self.user)
        await ops.import_image(self.store, self.easel.id, self.user, op, data, layer=f"p{self.user}{op.n}", x=50, y=70)

    async def edit(self) -> None:
        await jobs.submit(self.store, self.easel.id, author(self.user), self.easel.edit(self.user, self.box()))

    async def work(self) -> None:
        for job in (await self.easel.manifest()).jobs:
            claim = await claims.claim(self.store.client, self.easel.id, job.id, self.user, 10_000)
            if not isinstance(claim, claims.Claim):
                continue
            box = claim.spec.edit.box
            blob = (await self.store.put_blobs(self.easel.id, [encode_webp(flat(box, self.colour()))]))[0]
            result = JobResult(
                canvas=self.easel.id,
                job=job.id,
                attempt=claim.attempt,
                worker=self.user,
                box=box,
                variations=[Variation(blob=blob, seed=1)],
            )
            await stage(self.store, result)

    async def decide(self) -> None:
        for job in (await self.easel.manifest()).jobs:
            who, op = author(self.user, is_owner=self.random.random() < 0.3), self.easel.op(self.user)
            if self.random.random() < 0.2:
                await jobs.cancel(self.store, self.easel.id, who, Cancel(op=op, job=job.id))
            else:
                new_layer = self.random.random() < 0.3
                accept = self.random.random() < 0.7
                message = Decide(op=op, job=job.id, accept=accept, new_layer=new_layer)
                await jobs.decide(self.store, self.easel.id, who, message)


async def check(easel: Easel) -> None:
    """What must hold of every canvas at rest."""
    manifest = await easel.manifest()
    layers = [Layer(id="base", name="Base")]
    tiles: dict[tuple[str, int, int], str] = {}
    states: dict[str, str] = {}
    log = await easel.log()
    assert [change.seq for change in log] == list(range(1, len(log) + 1))
    for change in log:
        tiles |= {(ref.layer, ref.tx, ref.ty): ref.name for ref in change.tiles}
        if change.layers is not None:
            layers = change.layers
            present = {layer.id for layer in layers}
            tiles = {key: name for key, name in tiles.items() if key[0] in present}
        if change.job is not None:
            assert states.get(change.job.id) not in TERMINAL, "a job ends once"
            states[change.job.id] = change.job.state
    tiles = {key: name for key, name in tiles.items() if name}
    assert layers == manifest.layers
    assert tiles == {(ref.layer, ref.tx, ref.ty): ref.name for ref in manifest.tiles}
    assert {key[0] for key in tiles} <= {layer.id for layer in layers}
    assert {job.id for job in manifest.jobs} == {job for job, state in states.items() if state not in TERMINAL}
    assert None not in await easel.store.get_blobs(easel.id, list(tiles.values()))
    sizes = await easel.store.client.call("HVALS", CanvasKeys(easel.id).blobs)
    assert sum(map(len, sizes)) == manifest.canvas.used_bytes
    await visible_pixels(easel.store, easel.id)


async def exhausted(step: Callable[[str], Awaitable[object]], user: str) -> int:
    """Undo or redo until there is nothing left; how often that was."""
    for count in range(101):
        try:
            await step(user)
        except NotFound:
            return count
    raise AssertionError("a stack has at most 100 entries")


@pytest.mark.parametrize("seed", range(4))
async def test_c3_whatever_several_people_do_at_once_log_manifest_and_blobs_agree(store: Store, seed: int) -> None:
    easel = await Easel.new(store)
    servers = [Store(store.client, store.pool) for _ in range(2)]
    people = [Person(easel, servers[n % 2], f"u{n}", seed) for n in range(PEOPLE)]
    async with anyio.create_task_group() as group:
        for person in people:
            group.start_soon(person.live)
    await check(easel)
    for person in people:
        await exhausted(easel.undo, person.user)
    await check(easel)
    redone = [await exhausted(easel.redo, person.user) for person in reversed(people)]
    await check(easel)
    assert sum(redone)
