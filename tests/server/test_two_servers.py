"""Two servers on one store: the same canvas, the same room (R3, R9)."""

from collections.abc import AsyncIterator

import pytest

from nanobana.protocol import messages as m
from nanobana.sdk.link import Link
from support.bombs import png
from support.live_server import LiveServer, live_server
from support.members import member, ticket_of
from support.valkey import PrivateValkey


@pytest.fixture(scope="module")
async def other(anyio_backend: object, valkey: PrivateValkey) -> AsyncIterator[LiveServer]:
    async with live_server(valkey.url) as live:
        yield live


def elsewhere(link: Link, server: LiveServer) -> Link:
    return Link(server.origin, link.canvas, link.secret)


async def test_c4_a_change_reaches_members_of_every_server(server: LiveServer, other: LiveServer) -> None:
    links = await server.new_canvas()
    async with member(links.edit) as (ana, _), member(elsewhere(links.view, other)) as (ben, _):
        ack = await ana.do(m.LayerAdd(op=ana.op(), layer="sky", name="sky"))
        assert (await ben.until(m.Changed)).change.seq == ack.seq


async def test_r6_cursors_and_presence_cross_servers(server: LiveServer, other: LiveServer) -> None:
    links = await server.new_canvas()
    async with member(links.edit) as (ana, ana_joined):
        async with member(elsewhere(links.edit, other)) as (ben, ben_joined):
            await ana.until(m.Joined, lambda joined: joined.member.id == ben_joined.you.id)
            await ana.send(m.Cursor(x=1.0, y=2.0))
            assert (await ben.until(m.Cursors)).rows == [(ana_joined.you.id, 1.0, 2.0)]
        assert (await ana.until(m.Left)).id == ben_joined.you.id


async def test_r3_what_somebody_says_and_sees_crosses_servers_the_newest_in_place_of_the_older(
    server: LiveServer, other: LiveServer
) -> None:
    links = await server.new_canvas()
    async with member(links.comment) as (ana, joined), member(elsewhere(links.view, other)) as (ben, ben_joined):
        await ana.until(m.Joined, lambda said: said.member.id == ben_joined.you.id)
        await ana.send(m.Chat(text="he"), m.Chat(text="hello"), m.Look(x0=1.0, y0=2.0, x1=3.0, y1=4.0))
        assert await ben.until(m.MemberChat) == m.MemberChat(member=joined.you.id, chat=m.Chat(text="hello"))
        assert (await ben.until(m.MemberLook)).look == m.Look(x0=1.0, y0=2.0, x1=3.0, y1=4.0)
        await ben.send(m.Chat(text="me too"))
        assert (await ben.until(m.Problem)).code == "not_allowed"


async def test_r3_a_newcomer_on_another_server_gets_the_masks_that_stand(server: LiveServer, other: LiveServer) -> None:
    links = await server.new_canvas()
    async with member(links.edit) as (ana, welcome):
        await ana.send(m.Mask(tile=(3, 1), png=png(256, 256, "L", 255)))
        async with member(links.view) as (ben, _), member(elsewhere(links.view, other)) as (cy, _):
            for who in (ben, cy):
                mask = await who.until(m.MemberMask)
                assert (mask.member, mask.tile) == (welcome.you.id, (3, 1))
            await ana.send(m.Mask())
            assert (await cy.until(m.MemberMask)).tile is None


async def test_r7_a_link_revoked_on_one_server_closes_sockets_on_the_other(
    server: LiveServer, told: LiveServer
) -> None:
    links = await server.new_canvas()
    access = (await ticket_of(links.owner))["access"]
    async with server.http(headers={"authorization": f"Bearer {access}"}) as http:
        rows = (await http.get(f"{links.owner.api}/links")).json()
        doomed = next(row["id"] for row in rows if row["role"] == "viewer")
        async with member(elsewhere(links.view, told)) as (ben, _):
            await http.delete(f"{links.owner.api}/links/{doomed}")
            assert await ben.closed() == m.CLOSE_REVOKED


async def test_r9_a_change_whose_bell_was_lost_is_read_from_the_log(server: LiveServer, other: LiveServer) -> None:
    links = await server.new_canvas()
    async with member(links.edit) as (ana, _), member(elsewhere(links.view, other)) as (ben, _):
        room = next(room for room in other.rooms.open if room.canvas == links.view.canvas)
        deaf, room.bell = room.bell, lambda: None  # type: ignore[method-assign]
        await ana.do(m.LayerAdd(op=ana.op(), layer="sky", name="sky"))
        assert (await ben.until(m.Changed)).change.kind == "layers"
        room.bell = deaf  # type: ignore[method-assign]
