"""Moving pixels over real sockets: seen while they are held, byte-equal once they are put down (C14)."""

import numpy as np

from nanobana.protocol import messages as m
from nanobana.protocol.geometry import Affine, Box
from nanobana.raster.affine import about
from nanobana.sdk import join
from support.live_server import Links
from support.members import member

TURN: Affine = about(80, 60, dx=300, dy=50, sx=1.5, sy=1.5, degrees=25)
RED = np.full((120, 160, 4), (200, 10, 10, 255), np.uint8)


async def test_c14_moved_pixels_are_the_same_for_everybody_and_come_back(canvas: Links) -> None:
    async with join(str(canvas.edit), name="Ana") as ana, join(str(canvas.edit), name="Ben") as ben:
        layer = await ana.add_layer("Ink")
        await ana.paint(layer, 0, 0, RED)
        before = dict(ana.replica.tiles)
        seq = await ana.transform(layer, TURN)
        await ben.until(lambda: ben.replica.position.seq >= seq)
        assert ben.replica.tiles == ana.replica.tiles != before
        assert (await ben.pixels(layer, Box(370, 100, 390, 120)) == RED[0, 0]).all()
        await ana.transform(layer, (1, 0, 0, 1, 40, 0), mask=np.full((20, 20), 255, np.uint8), x=370, y=100)
        assert not (await ana.pixels(layer, Box(370, 100, 390, 120))).any()
        await ana.undo()
        await ana.undo()
        assert ana.replica.tiles == before


async def test_c14_others_see_where_pixels_are_held(canvas: Links) -> None:
    async with member(canvas.edit) as (ana, _), member(canvas.edit) as (ben, _):
        await ana.send(m.Moving(layer="ink", matrix=TURN, masked=True))
        seen = await ben.until(m.MemberMoving, lambda heard: heard.moving.matrix is not None)
        assert seen.moving.layer == "ink" and seen.moving.masked and seen.moving.matrix == TURN
        await ana.send(m.Moving(layer="ink"))
        await ben.until(m.MemberMoving, lambda heard: heard.moving.matrix is None)
