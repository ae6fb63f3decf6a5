"""A copy that went wrong is found, counted and corrected (R9)."""

from collections.abc import AsyncIterator

import pytest

from nanobana.protocol import messages as m
from nanobana.protocol.geometry import Box
from nanobana.sdk import join
from nanobana_server.room.pace import Pace
from support.bombs import png
from support.live_server import LiveServer, live_server
from support.members import member
from support.valkey import PrivateValkey

FOUND = "nanobana_divergence_found_total"


@pytest.fixture(scope="module")
async def server(anyio_backend: object, valkey: PrivateValkey) -> AsyncIterator[LiveServer]:
    async with live_server(valkey.url, pace=Pace(sample=0.2)) as live:
        yield live


async def found(server: LiveServer) -> float:
    async with server.http() as http:
        text = (await http.get("/metrics")).text
    return float(next(line for line in text.splitlines() if line.startswith(FOUND)).split()[-1])


async def test_r9_a_copy_that_went_wrong_is_corrected_and_counted(server: LiveServer) -> None:
    links = await server.new_canvas()
    before = await found(server)
    async with join(str(links.edit), name="Ana") as ana, join(str(links.view), name="Ben") as ben:
        layer = await ana.add_layer("Sky")
        await ana.until(lambda: ana.replica.position.seq == 1)
        await ben.until(lambda: ben.replica.position.seq == 1)
        right = ana.replica.digest()

        ben.replica.tiles[layer, 0, 0] = "0" * 32  # a fault in Ben's page

        await ben.until(lambda: ben.replica.digest() == right)
        assert ana.replica.digest() == right
    assert await found(server) == before + 1


async def test_r9_right_copies_are_left_alone(server: LiveServer) -> None:
    links = await server.new_canvas()
    async with member(links.edit) as (ana, _):
        await ana.do(m.LayerAdd(op=ana.op(), layer="base", name="Base"))
        paint = m.Paint(op=ana.op(), layer="base", box=Box(0, 0, 8, 8), png=png(8, 8, "RGBA", (9, 9, 9, 255)))
        await ana.do(paint)
        said = await ana.until(m.Checksum, lambda said: said.position.seq == 2)
        assert said.position.op == paint.op
        assert not any(isinstance(each, m.Resync) for each in ana.seen)


async def test_r9_a_false_alarm_costs_only_who_raised_it(server: LiveServer) -> None:
    links = await server.new_canvas()
    async with member(links.view) as (liar, _), member(links.edit) as (ana, _):
        said = await liar.until(m.Checksum)
        await liar.send(m.Diverged(position=said.position, sum=said.sum ^ 1))
        await liar.until(m.Resync)
        await ana.do(m.LayerAdd(op=ana.op(), layer="base", name="Base"))
        await liar.until(m.Changed)
        assert not any(isinstance(each, m.Resync) for each in ana.seen)
