"""Layers on a real store: what a lock keeps, and the layer ops that need tiles (C1, C9)."""

import pytest

from nanobana.protocol.geometry import Box
from nanobana.protocol.messages import LayerAdd, LayerDelete, LayerMove, LayerSet
from nanobana_server.store import Store, ops
from nanobana_server.store.ops.layers import LayerOp
from nanobana_server.store.types import Commit, LayerLocked
from support.strokes import RED, Easel

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


async def test_c1_a_new_layer_is_in_the_group_of_the_one_beneath(easel: Easel) -> None:
    await do(easel, LayerAdd(op=easel.op(), layer="ink", name="Ink", above="base"))
    assert [layer.id for layer in (await easel.manifest()).layers] == ["base", "ink"]


async def test_c1_a_layer_left_of_the_canvas_goes_with_its_tiles(store: Store, easel: Easel) -> None:
    from nanobana.raster.codec import encode_png
    from support.strokes import flat

    await ops.import_image(store, easel.id, "ana", easel.op(), encode_png(flat(BOX, RED)), layer="far", x=-280, y=-270)
    before = await easel.look()
    await do(easel, LayerDelete(op=easel.op(), layer="far"))
    assert all(layer == "base" for layer, _tx, _ty in await easel.names())
    await easel.undo()
    assert await easel.look() == before
