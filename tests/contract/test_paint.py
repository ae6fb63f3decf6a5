"""Painting: the server composites, races are provoked, disjoint masks all survive (C5, C11)."""

from collections.abc import Callable, Coroutine, Mapping, Sequence
from functools import partial

import anyio
import numpy as np
import pytest

from nanobana.protocol.canvas import OpId
from nanobana.protocol.errors import BadInput, NotFound, StorageFull
from nanobana.protocol.geometry import Box
from nanobana.protocol.messages import LayerDelete, Paint
from nanobana.raster.codec import encode_png
from nanobana_server.store import Store, ops
from nanobana_server.store.ops.export import visible_pixels
from nanobana_server.store.types import Commit, Committed, LayerGone, Moved
from support.late import Late
from support.strokes import BLUE, GREEN, RED, Easel, flat


class Crossroads:
    """Servers whose first commits wait for each other: everybody has read before anybody writes."""

    def __init__(self, store: Store, parties: int) -> None:
        self.servers = [_Server(store, self) for _ in range(parties)]
        self.refused = 0
        self._here = 0
        self._go = anyio.Event()

    async def meet(self) -> None:
        self._here += 1
        if self._here == len(self.servers):
            self._go.set()
        await self._go.wait()


class _Server(Store):
    def __init__(self, store: Store, crossroads: Crossroads) -> None:
        super().__init__(store.client, store.pool)
        self._crossroads = crossroads
        self._met = False

    async def commit(self, canvas: str, commit: Commit, *, blobs: Mapping[str, bytes] | None = None) -> Committed:
        if not self._met:
            self._met = True
            await self._crossroads.meet()
        try:
            return await super().commit(canvas, commit, blobs=blobs)
        except Moved:
            self._crossroads.refused += 1
            raise


async def all_at_once(calls: Sequence[Callable[[], Coroutine[None, None, object]]]) -> None:
    async with anyio.create_task_group() as group:
        for call in calls:
            group.start_soon(call)


async def test_c11_a_stroke_lands_where_its_box_says(easel: Easel) -> None:
    await easel.paint("ana", Box(250, 250, 270, 260), RED)
    assert await easel.pixel(250, 250) == RED
    assert await easel.pixel(269, 259) == RED
    assert (await easel.pixel(270, 259))[3] == 0
    assert len(await easel.names()) == 4


async def test_c5_simultaneous_edits_with_disjoint_masks_in_one_tile_all_survive(store: Store, easel: Easel) -> None:
    crossroads = Crossroads(store, 8)
    boxes = [Box(n * 20, 0, n * 20 + 20, 200) for n in range(8)]
    strokes = [easel.stroke(f"user{n}", box, (n, 100, 200, 255)) for n, box in enumerate(boxes)]
    await all_at_once(
        [partial(ops.paint, server, easel.id, "u", s) for server, s in zip(crossroads.servers, strokes, strict=True)]
    )
    shown = await visible_pixels(store, easel.id)
    for n, box in enumerate(boxes):
        assert (shown[box.y0 : box.y1, box.x0 : box.x1] == (n, 100, 200, 255)).all()
    assert crossroads.refused >= 7, "the race was real"


async def test_c5_where_masks_overlap_the_later_op_wins(store: Store, easel: Easel) -> None:
    crossroads = Crossroads(store, 2)
    red = easel.stroke("ana", Box(0, 0, 100, 100), RED)
    blue = easel.stroke("ben", Box(50, 50, 150, 150), BLUE)
    one, other = crossroads.servers
    await all_at_once([partial(ops.paint, one, easel.id, "ana", red), partial(ops.paint, other, easel.id, "ben", blue)])
    assert crossroads.refused == 1, "the race was real"
    log = await easel.log()
    last = RED if log[-1].user == "ana" else BLUE
    assert await easel.pixel(75, 75) == last
    assert await easel.pixel(10, 10) == RED
    assert await easel.pixel(140, 140) == BLUE


async def test_c5_strokes_from_many_people_at_once_leave_no_pixel_behind(store: Store, easel: Easel) -> None:
    rng = np.random.default_rng(5)
    strokes: list[tuple[Box, tuple[int, int, int, int]]] = []
    for n in range(24):
        x, y = int(rng.integers(0, 460)), int(rng.integers(0, 460))
        strokes.append((Box(x, y, x + 60, y + 60), (n * 10, 255 - n * 10, n, 255)))
    await all_at_once([partial(easel.paint, f"u{n}", *stroke) for n, stroke in enumerate(strokes)])
    assert len(store.turns) == 0
    expected = np.zeros((768, 1024, 4), np.uint8)
    for change in await easel.log():
        box, colour = strokes[int(change.user[1:])]
        expected[box.y0 : box.y1, box.x0 : box.x1] = colour
    assert np.array_equal(await visible_pixels(store, easel.id), expected)


async def test_c11_erasing_everything_leaves_no_tile(store: Store, easel: Easel) -> None:
    await easel.paint("ana", Box(0, 0, 50, 50))
    await ops.paint(store, easel.id, "ana", easel.stroke("ana", Box(0, 0, 60, 60), erase=True))
    assert await easel.names() == {}


async def test_c3_a_patch_over_2048_is_several_ops_and_undone_as_one(store: Store) -> None:
    easel = await Easel.new(store, width=4096, height=2304)
    box = Box(0, 0, 4096, 2304)
    blob = (await store.put_blobs(easel.id, [encode_png(flat(box, GREEN))]))[0]
    before = await easel.look()
    message = Paint(op=easel.op(), layer="base", box=box, blob=blob)
    done = await ops.paint(store, easel.id, "ana", message)
    log = await easel.log()
    assert len(log) == 4
    assert log[-1].op == message.op
    assert log[-1].seq == done.seq
    assert len(await easel.names()) == 16 * 9
    assert (await ops.paint(store, easel.id, "ana", message)).seq == done.seq
    painted = await easel.look()
    await easel.undo()
    assert await easel.look() == before
    await easel.redo()
    assert await easel.look() == painted
    assert len(await easel.log()) == 6


async def test_c3_parts_of_one_stroke_sent_one_by_one_are_undone_as_one(store: Store) -> None:
    easel = await Easel.new(store, width=2304, height=256)
    await easel.paint("ana", Box(100, 100, 110, 110), BLUE)
    before = await easel.look()
    parts = [Box(0, 0, 256, 256), Box(256, 0, 300, 40), Box(2048, 0, 2304, 256)]
    ids = [easel.op() for _ in parts]
    for op, box in zip(ids, parts, strict=True):
        png = encode_png(flat(box, GREEN))
        await ops.paint(store, easel.id, "ana", Paint(op=op, layer="base", box=box, png=png, group=ids[0].n))
        await easel.paint("ben", Box(1000 + op.n, 0, 1001 + op.n, 8), RED)
    painted = await easel.look()
    await easel.undo("ana")
    await easel.undo("ben")
    await easel.undo("ben")
    await easel.undo("ben")
    assert await easel.look() == before
    for user in ("ben", "ben", "ben", "ana"):
        await easel.redo(user)
    assert await easel.look() == painted


async def test_c3_a_group_without_end_is_cut_into_several_undos(store: Store, easel: Easel) -> None:
    png = encode_png(flat(Box(0, 0, 1, 1), RED))
    for n in range(130):
        message = Paint(op=easel.op(), layer="base", box=Box(n, 0, n + 1, 1), png=png, group=1)
        await ops.paint(store, easel.id, "ana", message)
    await easel.undo("ana")
    assert await easel.pixel(127, 0) == RED
    assert (await easel.pixel(128, 0))[3] == 0


async def test_c6_a_stroke_repeated_after_its_layer_went_gets_its_first_answer(store: Store, easel: Easel) -> None:
    stroke = easel.stroke("ana", Box(0, 0, 10, 10))
    first = await ops.paint(store, easel.id, "ana", stroke)
    await ops.layer_op(store, easel.id, "ben", LayerDelete(op=easel.op("ben"), layer="base"))
    again = await ops.paint(store, easel.id, "ana", stroke)
    assert again == Committed(seq=first.seq, first_time=False)
    with pytest.raises(LayerGone):
        await easel.paint("ana", Box(0, 0, 10, 10))


async def test_r10_bad_patches_are_refused_each_with_its_code(store: Store, easel: Easel) -> None:
    png = encode_png(flat(Box(0, 0, 10, 10), RED))
    damaged = encode_png(np.random.default_rng(1).integers(0, 256, (10, 10, 4), np.uint8))[:150]
    wrong = [
        (Paint(op=easel.op(), layer="base", box=Box(0, 0, 11, 10), png=png), "bad_patch"),
        (Paint(op=easel.op(), layer="base", box=Box(0, 0, 10, 10)), "bad_patch"),
        (Paint(op=easel.op(), layer="base", box=Box(5000, 0, 5010, 10), png=png), "outside"),
        (Paint(op=easel.op(), layer="base", box=Box(0, 0, 10, 10), png=b"GIF89a"), "image_format"),
        (Paint(op=easel.op(), layer="base", box=Box(0, 0, 10, 10), png=damaged), "bad_image"),
    ]
    for message, code in wrong:
        with pytest.raises(BadInput) as refusal:
            await ops.paint(store, easel.id, "ana", message)
        assert refusal.value.code == code
    with pytest.raises(NotFound):
        await ops.paint(store, easel.id, "ana", Paint(op=easel.op(), layer="base", box=Box(0, 0, 1, 1), blob="0" * 32))
    assert (await store.position(easel.id)).seq == 0


async def test_c12_a_full_canvas_refuses_strokes_while_undo_and_export_go_on(store: Store) -> None:
    easel = await Easel.new(store, budget_bytes=4000)
    await easel.paint("ana", Box(0, 0, 100, 100), RED)
    await easel.paint("ben", Box(50, 0, 150, 100), BLUE)
    rng = np.random.default_rng(1)
    noise = encode_png(rng.integers(0, 256, (64, 64, 4), np.uint8))
    with pytest.raises(StorageFull):
        await ops.paint(store, easel.id, "ana", Paint(op=easel.op(), layer="base", box=Box(0, 0, 64, 64), png=noise))
    await easel.undo("ana")
    assert (await easel.pixel(10, 10))[3] == 0
    assert await easel.pixel(60, 10) == BLUE
    assert (await ops.export_png(store, easel.id)).startswith(b"\x89PNG")


async def test_c12_a_stroke_in_parts_that_was_begun_is_finished_and_no_other_gets_in(store: Store) -> None:
    easel = await Easel.new(store, budget_bytes=30_000)
    rng = np.random.default_rng(1)

    async def part(op: OpId, x: int, group: int) -> None:
        png = encode_png(rng.integers(0, 256, (64, 64, 4), np.uint8))
        paint = Paint(op=op, layer="base", box=Box(x, 0, x + 64, 64), png=png, group=group)
        await ops.paint(store, easel.id, "ana", paint)

    first, second, third, other = (easel.op() for _ in range(4))
    await part(first, 0, first.n)
    await part(second, 300, first.n)
    assert (await store.storage(easel.id)).canvas.used > 30_000
    with pytest.raises(StorageFull):
        await part(other, 600, other.n)
    with pytest.raises(StorageFull):
        await part(third, 600, other.n)  # of one that never began
    await easel.undo("ana")
    assert (await easel.pixel(10, 10), await easel.pixel(310, 10)) == ((0, 0, 0, 0), (0, 0, 0, 0))


async def test_c5_what_is_erased_last_is_gone_though_there_was_nothing_when_it_was_looked_at(
    store: Store, easel: Easel
) -> None:
    box = Box(300, 300, 340, 340)
    late = Late(store, lambda: easel.paint("ben", box, RED))
    await ops.paint(late, easel.id, "ana", easel.stroke("ana", box, erase=True))
    assert await easel.pixel(310, 310) == (0, 0, 0, 0)
