"""Moving the pixels of a layer on a real store: whole, under a mask, beside others, and taken back (C14)."""

import asyncio

import numpy as np
import pytest

from nanobana.protocol.canvas import OpId
from nanobana.protocol.errors import BadInput, NotFound
from nanobana.protocol.geometry import Affine, Box
from nanobana.protocol.messages import LayerSet, Paint, Transform
from nanobana.raster.codec import encode_png
from nanobana_server.store import Store, ops
from nanobana_server.store.ops.export import visible_pixels
from nanobana_server.store.types import LayerGone, LayerLocked
from support.late import Late
from support.strokes import BLUE, GREEN, RED, Easel, flat, mask_png

INK = Box(200, 100, 460, 300)
RIGHT: Affine = (1, 0, 0, 1, 300, 40)


def shift(easel: Easel, matrix: Affine = RIGHT, *, mask: Box | None = None, layer: str = "base") -> Transform:
    png = None if mask is None else mask_png(mask)
    return Transform(op=easel.op(), layer=layer, matrix=matrix, box=mask, mask_png=png)


async def picture(easel: Easel) -> np.ndarray:
    return await visible_pixels(easel.store, easel.id)


async def move(easel: Easel, matrix: Affine = RIGHT, *, mask: Box | None = None) -> None:
    await ops.transform(easel.store, easel.id, "ana", shift(easel, matrix, mask=mask))


async def test_c14_a_layer_moves_over_tiles_byte_for_byte_and_comes_back(easel: Easel) -> None:
    await easel.paint("ana", INK, RED)
    await easel.paint("ana", Box(250, 150, 270, 260), BLUE)
    before, names = await picture(easel), await easel.names()
    await move(easel)
    after, moved = await picture(easel), await easel.names()
    assert (after[140:340, 500:760] == before[100:300, 200:460]).all()
    after[140:340, 500:760] = 0
    assert not after.any()
    await easel.undo()
    assert await easel.names() == names
    await easel.redo()
    assert await easel.names() == moved


async def test_c14_turned_four_times_by_a_quarter_it_has_its_very_bytes_again(easel: Easel) -> None:
    await easel.paint("ana", INK, RED)
    await easel.paint("ben", Box(210, 110, 300, 180), GREEN)
    before = await easel.names()
    for _ in range(4):
        await move(easel, (0, 1, -1, 0, 700, 0))
    assert await easel.names() == before


async def test_c14_only_what_is_under_the_mask_moves_and_lies_on_the_rest(easel: Easel) -> None:
    await easel.paint("ana", INK, RED)
    part = Box(200, 100, 240, 140)
    await easel.paint("ana", part, BLUE)
    await move(easel, (1, 0, 0, 1, 100, 60), mask=part)
    after = await picture(easel)
    assert not after[100:140, 200:240].any()
    assert (after[160:200, 300:340] == BLUE).all()
    assert (after[200:300, 240:460] == RED).all()


async def test_c9_what_others_paint_over_it_stays_when_it_is_taken_back(easel: Easel) -> None:
    await easel.paint("ana", INK, RED)
    await move(easel)
    await easel.paint("ben", Box(520, 160, 560, 200), GREEN)
    await easel.undo()
    after = await picture(easel)
    assert (after[160:200, 520:560] == GREEN).all()
    assert (after[100:300, 200:460] == RED).all()
    assert not after[210:340, 500:760].any()


async def test_c5_strokes_that_come_meanwhile_are_lost_nowhere(easel: Easel) -> None:
    await easel.paint("ana", INK, RED)
    boxes = [Box(600 + 30 * n, 160, 620 + 30 * n, 180) for n in range(5)]
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(move(easel))
        for box in boxes:
            tasks.create_task(easel.paint("ben", box, GREEN))
    after = await picture(easel)
    for box in boxes:
        moved = box.shift(300, 40)
        stays = (after[box.y0 : box.y1, box.x0 : box.x1] == GREEN).all()
        went = (after[moved.y0 : moved.y1, moved.x0 : min(moved.x1, 1024)] == GREEN).all()
        assert stays or went


async def test_c14_made_smaller_by_far_it_is_averaged(easel: Easel) -> None:
    whole = Box(0, 0, 1024, 768)
    stripes = flat(whole, RED)
    stripes[:, np.arange(1024) // 8 % 2 == 1] = BLUE
    stroke = Paint(op=easel.op(), layer="base", box=whole, png=encode_png(stripes))
    await ops.paint(easel.store, easel.id, "ana", stroke)
    await move(easel, (1 / 32, 0, 0, 1 / 32, 100, 100))
    after = await picture(easel)
    assert np.abs(after[101:123, 101:131].astype(int) - (128, 0, 128, 255)).max() <= 2
    after[100:124, 100:132] = 0
    assert not after.any()


@pytest.mark.parametrize(
    "matrix", [(0, 0, 0, 0, 0, 0), (1, 0, 1, 0, 0, 0), (300, 0, 0, 1, 0, 0), (float("nan"), 0, 0, 1, 0, 0)]
)
async def test_r10_a_move_that_cannot_be_is_refused(easel: Easel, matrix: Affine) -> None:
    await easel.paint("ana", INK)
    with pytest.raises(BadInput) as refused:
        await move(easel, matrix)
    assert refused.value.code == "bad_transform"


async def test_c14_nothing_moves_where_there_is_nothing(easel: Easel) -> None:
    for mask in (None, Box(0, 0, 20, 20)):
        with pytest.raises(BadInput) as refused:
            await move(easel, mask=mask)
        assert refused.value.code == "nothing_to_move"


async def test_c1_a_locked_layer_is_not_moved(store: Store, easel: Easel) -> None:
    await easel.paint("ana", INK)
    await ops.layer_op(store, easel.id, "ben", LayerSet(op=easel.op("ben"), layer="base", locked=True))
    with pytest.raises(LayerLocked):
        await move(easel)
    with pytest.raises(LayerGone):
        await ops.transform(store, easel.id, "ana", shift(easel, layer="none"))


async def test_c6_a_move_that_is_sent_twice_is_made_once(store: Store, easel: Easel) -> None:
    await easel.paint("ana", INK)
    message = shift(easel)
    first = await ops.transform(store, easel.id, "ana", message)
    names = await easel.names()
    again = await ops.transform(store, easel.id, "ana", message)
    assert (again.seq, again.first_time) == (first.seq, False) and await easel.names() == names


@pytest.mark.parametrize("mask", [None, Box(0, 0, 1024, 768)], ids=["the layer", "a mask"])
async def test_c5_a_stroke_that_comes_first_is_taken_along_from_where_nothing_was(
    store: Store, easel: Easel, mask: Box | None
) -> None:
    await easel.paint("ana", INK, RED)
    late = Late(store, lambda: easel.paint("ben", Box(20, 600, 40, 620), BLUE))
    await ops.transform(late, easel.id, "ana", shift(easel, mask=mask))
    assert await easel.pixel(325, 645) == BLUE
    assert (await easel.pixel(25, 605))[3] == 0


async def test_c5_a_stroke_that_comes_first_lies_under_what_is_moved_there(store: Store, easel: Easel) -> None:
    await easel.paint("ana", INK, RED)
    late = Late(store, lambda: easel.paint("ben", INK.shift(300, 40), BLUE))
    await ops.transform(late, easel.id, "ana", shift(easel, mask=INK))
    assert await easel.pixel(520, 160) == RED


# ── placing a picture: brought in and put down elsewhere ────────────────────────────────────────────────────────


async def bring(easel: Easel) -> OpId:
    """A red picture on a layer of its own."""
    op = easel.op()
    png = encode_png(flat(INK, RED))
    await ops.import_image(easel.store, easel.id, "ana", op, png, layer="photo", x=INK.x0, y=INK.y0)
    return op


def place(easel: Easel, brought: OpId) -> Transform:
    return Transform(op=easel.op(), layer="photo", matrix=RIGHT, group=brought.n)


async def test_c14_a_picture_that_is_placed_goes_with_one_undo_and_comes_back_with_one_redo(easel: Easel) -> None:
    before = await easel.look()
    await ops.transform(easel.store, easel.id, "ana", place(easel, await bring(easel)))
    placed = await easel.look()
    await easel.undo()
    assert await easel.look() == before
    with pytest.raises(NotFound):
        await easel.undo()
    await easel.redo()
    assert await easel.look() == placed and await easel.pixel(500, 140) == RED


async def test_c9_what_others_painted_on_a_picture_before_it_was_put_down_stays_without_it(easel: Easel) -> None:
    brought = await bring(easel)
    await easel.paint("ben", Box(210, 110, 250, 150), GREEN, layer="photo")
    await ops.transform(easel.store, easel.id, "ana", place(easel, brought))
    placed = await easel.look()
    await easel.undo()
    assert await easel.pixel(220, 120) == GREEN and await easel.pixel(300, 200) == (0, 0, 0, 0)
    assert await easel.pixel(520, 160) == (0, 0, 0, 0) == await easel.pixel(700, 300)
    await easel.redo()
    assert await easel.look() == placed


async def test_c9_a_move_of_a_picture_that_was_taken_back_meanwhile_is_a_step_of_its_own(easel: Easel) -> None:
    brought = await bring(easel)
    await easel.paint("ben", Box(210, 110, 250, 150), GREEN, layer="photo")
    await easel.undo()
    before = await easel.look()
    await ops.transform(easel.store, easel.id, "ana", place(easel, brought))
    assert await easel.pixel(520, 160) == GREEN
    await easel.undo()
    assert await easel.look() == before
    with pytest.raises(NotFound):
        await easel.undo()


async def test_c9_a_picture_put_down_while_it_is_taken_back_is_gone_either_way(store: Store, easel: Easel) -> None:
    before = await easel.look()
    message = place(easel, await bring(easel))
    await ops.undo(Late(store, lambda: ops.transform(store, easel.id, "ana", message)), easel.id, "ana", easel.op())
    assert await easel.look() == before
    message = place(easel, await bring(easel))
    with pytest.raises(LayerGone):
        await ops.transform(Late(store, easel.undo), easel.id, "ana", message)
    assert await easel.look() == before


async def test_c9_only_its_own_author_s_move_joins_a_picture(easel: Easel) -> None:
    brought = await bring(easel)
    there = await easel.look()
    theirs = Transform(op=easel.op("ben"), layer="photo", matrix=RIGHT, group=brought.n)
    await ops.transform(easel.store, easel.id, "ben", theirs)
    await easel.undo("ben")
    assert await easel.look() == there
