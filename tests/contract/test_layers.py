"""Layers on a real store: what a lock keeps, and the layer ops that need tiles (C1, C9)."""

from typing import Any

import numpy as np
import pytest

from nanobana.protocol.errors import BadInput
from nanobana.protocol.geometry import Box
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
    Restore,
)
from nanobana.raster.codec import encode_png
from nanobana_server.store import Store, ops
from nanobana_server.store.ops.export import visible_pixels
from nanobana_server.store.types import Commit, LayerLocked
from support.late import Late
from support.strokes import BLUE, RED, VEIL, Easel, flat

BOX = Box(0, 0, 300, 300)


async def do(easel: Easel, message: LayerOp, user: str = "ana") -> None:
    await ops.layer_op(easel.store, easel.id, user, message)


async def lock(easel: Easel, layer: str = "base", *, locked: bool = True) -> None:
    await do(easel, LayerSet(op=easel.op("ben"), layer=layer, locked=locked), "ben")


async def test_c1_a_locked_layer_takes_nothing_until_it_is_unlocked(easel: Easel) -> None:
    await lock(easel)
    before = await easel.look()
    for message in (
        LayerSet(op=easel.op(), layer="base", name="Other"),
        LayerSet(op=easel.op(), layer="base", blend="screen", locked=False),
        LayerMove(op=easel.op(), layer="base", index=0),
        LayerDelete(op=easel.op(), layer="base"),
    ):
        with pytest.raises(LayerLocked):
            await do(easel, message)
    with pytest.raises(LayerLocked) as refused:
        await easel.paint("ana", BOX)
    assert refused.value.code == "layer_locked" and await easel.look() == before
    await do(easel, LayerSet(op=easel.op(), layer="base", visible=False))
    await lock(easel, locked=False)
    await easel.paint("ana", BOX)


async def test_c1_a_lock_that_comes_between_reading_and_writing_holds(store: Store, easel: Easel) -> None:
    view = await store.look(easel.id)
    await lock(easel)
    assert not view.layer("base").locked
    late = Commit(op=easel.op(), user="ana", kind="paint", need_layers=("base",), open_layers=("base",))
    with pytest.raises(LayerLocked):
        await store.commit(easel.id, late)


async def test_c9_undo_goes_on_in_a_locked_layer(easel: Easel) -> None:
    before = await easel.look()
    await easel.paint("ana", BOX, RED)
    await lock(easel)
    await easel.undo("ana")
    await easel.undo("ben")
    assert await easel.look() == before


async def grouped(easel: Easel) -> None:
    """Two painted layers above the base, in a group "g"; ben has painted on one of them."""
    for name, box, colour in (("ink", BOX, RED), ("wash", BOX.shift(100, 0), VEIL)):
        await do(easel, LayerAdd(op=easel.op(), layer=name, name=name))
        await easel.paint("ana", box, colour, layer=name)
    await easel.paint("ben", Box(0, 0, 40, 40), BLUE, layer="ink")
    await do(easel, LayerGroup(op=easel.op(), layer="g", name="Group", members=["ink", "wash"]))


async def test_c1_a_new_layer_is_in_the_group_of_the_one_beneath(easel: Easel) -> None:
    await grouped(easel)
    await do(easel, LayerAdd(op=easel.op(), layer="line", name="Line", above="ink"))
    layers = (await easel.manifest()).layers
    assert [layer.id for layer in layers] == ["base", "ink", "line", "wash", "g"]
    assert layers[2].parent == "g"


async def test_c1_a_group_takes_no_paint(easel: Easel) -> None:
    await grouped(easel)
    with pytest.raises(BadInput) as refused:
        await easel.paint("ana", BOX, layer="g")
    assert refused.value.code == "is_group"


async def test_c9_a_deleted_group_comes_back_whole(easel: Easel) -> None:
    await grouped(easel)
    before = await easel.look()
    await do(easel, LayerDelete(op=easel.op("ben"), layer="g"), "ben")
    assert [layer.id for layer in (await easel.manifest()).layers] == ["base"] and await easel.names() == {}
    await easel.undo("ben")
    assert await easel.look() == before
    await easel.redo("ben")
    assert await easel.names() == {}


async def test_c9_grouping_ungrouping_and_copies_are_undone_in_turn(easel: Easel) -> None:
    await grouped(easel)
    states = [await easel.look()]
    messages: list[LayerOp] = [
        LayerDuplicate(op=easel.op(), layer="g", copy="h"),
        LayerUngroup(op=easel.op(), layer="g"),
        LayerMove(op=easel.op(), layer="wash", index=0, parent="h"),
        LayerMerge(op=easel.op(), layer="ink"),
        LayerMerge(op=easel.op(), layer="h"),
    ]
    for message in messages:
        await do(easel, message)
        states.append(await easel.look())
    for state in reversed(states[:-1]):
        await easel.undo()
        assert await easel.look() == state
    for state in states[1:]:
        await easel.redo()
        assert await easel.look() == state


async def test_c1_a_copy_has_the_same_tiles_and_costs_no_bytes(store: Store, easel: Easel) -> None:
    await grouped(easel)
    used = (await store.info(easel.id)).used_bytes
    before = await easel.names()
    await do(easel, LayerDuplicate(op=easel.op(), layer="ink", copy="twin"))
    after = await easel.names()
    assert {key[1:]: name for key, name in after.items() if key[0] == "twin"} == {
        key[1:]: name for key, name in before.items() if key[0] == "ink"
    }
    assert (await store.info(easel.id)).used_bytes == used


@pytest.mark.parametrize("box", [Box(0, 0, 20, 20), Box(600, 600, 620, 620)], ids=["over ink", "on a new tile"])
async def test_c5_a_stroke_that_comes_first_is_in_the_copy(store: Store, easel: Easel, box: Box) -> None:
    await easel.paint("ana", BOX)
    late = Late(store, lambda: easel.paint("ben", box, BLUE))
    await ops.layer_op(late, easel.id, "ana", LayerDuplicate(op=easel.op(), layer="base", copy="twin"))
    names = await easel.names()
    assert {key[1:]: name for key, name in names.items() if key[0] == "twin"} == {
        key[1:]: name for key, name in names.items() if key[0] == "base"
    }


async def test_c5_a_stroke_that_comes_first_fades_with_the_layer_that_another_is_merged_onto(
    store: Store, easel: Easel
) -> None:
    await do(easel, LayerSet(op=easel.op(), layer="base", opacity=0.5))
    await do(easel, LayerAdd(op=easel.op(), layer="ink", name="Ink"))
    await easel.paint("ana", BOX, layer="ink")
    late = Late(store, lambda: easel.paint("ben", Box(600, 600, 620, 620), BLUE))
    await ops.layer_op(late, easel.id, "ana", LayerMerge(op=easel.op(), layer="ink"))
    assert (await easel.pixel(605, 605))[3] == 128


@pytest.mark.parametrize("layer", ["wash", "g"])
@pytest.mark.parametrize("fields", [{}, {"opacity": 0.4}, {"blend": "multiply"}, {"blend": "overlay", "opacity": 0.7}])
async def test_c1_merging_down_changes_no_pixel_of_the_picture(
    store: Store, easel: Easel, layer: str, fields: dict[str, Any]
) -> None:
    await easel.paint("ana", Box(0, 0, 1024, 768), (90, 160, 70, 255))
    await grouped(easel)
    await do(easel, LayerSet(op=easel.op(), layer=layer, **fields))
    if layer == "wash":
        await do(easel, LayerUngroup(op=easel.op(), layer="g"))
        await do(easel, LayerDelete(op=easel.op(), layer="ink"))
    before = await visible_pixels(store, easel.id)
    await do(easel, LayerMerge(op=easel.op(), layer=layer))
    assert [found.id for found in (await easel.manifest()).layers] == ["base"]
    assert np.array_equal(await visible_pixels(store, easel.id), before)


async def test_c9_paint_on_a_merged_layer_outlives_the_undo_of_the_merge(easel: Easel) -> None:
    await grouped(easel)
    await do(easel, LayerMerge(op=easel.op(), layer="wash"))
    await easel.paint("ben", Box(390, 290, 400, 300), BLUE, layer="ink")
    await easel.undo("ana")
    assert "wash" in [layer.id for layer in (await easel.manifest()).layers]
    await easel.redo("ana")
    assert await easel.pixel(395, 295) == BLUE


async def test_c9_a_layer_painted_since_its_merge_was_taken_back_is_not_merged_away(easel: Easel) -> None:
    await grouped(easel)
    await do(easel, LayerMerge(op=easel.op(), layer="wash"))
    await easel.undo("ana")
    await easel.paint("ben", Box(600, 600, 610, 610), BLUE, layer="wash")
    await easel.redo("ana")
    assert await easel.pixel(605, 605) == BLUE


async def test_c1_a_layer_left_of_the_canvas_goes_with_its_tiles(store: Store, easel: Easel) -> None:
    await ops.import_image(store, easel.id, "ana", easel.op(), encode_png(flat(BOX, RED)), layer="far", x=-280, y=-270)
    before = await easel.look()
    await do(easel, LayerDelete(op=easel.op(), layer="far"))
    assert all(layer == "base" for layer, _tx, _ty in await easel.names())
    await easel.undo()
    assert await easel.look() == before


async def test_c13_an_earlier_moment_is_brought_back_with_its_groups_and_that_is_undone(
    store: Store, easel: Easel
) -> None:
    await grouped(easel)
    past, seq = await easel.look(), (await easel.manifest()).position.seq
    await do(easel, LayerDuplicate(op=easel.op(), layer="g", copy="h"))
    await do(easel, LayerMove(op=easel.op(), layer="g", index=0))
    await do(easel, LayerUngroup(op=easel.op(), layer="g"))
    await do(easel, LayerMove(op=easel.op(), layer="ink", index=1, parent="h"))
    now = await easel.look()
    await ops.restore(store, easel.id, "ben", Restore(op=easel.op("ben"), seq=seq))
    assert await easel.look() == past
    await easel.undo("ben")
    assert await easel.look() == now
    await easel.redo("ben")
    assert await easel.look() == past
