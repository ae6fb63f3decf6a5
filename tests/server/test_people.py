"""What owners decide about people reaches their live sockets on every server within a second, and HTTP too (R7)."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx2 as httpx
import pytest

from nanobana.protocol import messages as m
from nanobana.sdk.link import Link
from nanobana_server.room.pace import Pace
from support.live_server import Links, LiveServer, live_server
from support.members import RawMember, member, ticket_of
from support.valkey import PrivateValkey


@pytest.fixture(scope="module")
async def server(told: LiveServer) -> LiveServer:
    """Within a second means: by being told."""
    return told


@pytest.fixture(scope="module")
async def other(anyio_backend: object, valkey: PrivateValkey) -> AsyncIterator[LiveServer]:
    async with live_server(valkey.url, pace=Pace(poll=3600)) as live:
        yield live


def elsewhere(link: Link, server: LiveServer) -> Link:
    return Link(server.origin, link.canvas, link.secret)


@asynccontextmanager
async def as_owner(server: LiveServer, links: Links) -> AsyncIterator[httpx.AsyncClient]:
    """HTTP with the owner's access; paths begin after the canvas."""
    access = (await ticket_of(links.owner))["access"]
    headers = {"authorization": f"Bearer {access}"}
    async with httpx.AsyncClient(base_url=links.owner.api, headers=headers, verify=False, timeout=15.0) as http:
        yield http


def layer(who: RawMember) -> m.LayerAdd:
    return m.LayerAdd(op=who.op(), layer=f"l{who.client}", name="sky")


async def test_r7_a_new_role_counts_at_once_on_the_open_socket_and_everybody_sees_it(
    server: LiveServer, other: LiveServer, canvas: Links
) -> None:
    async with (
        as_owner(server, canvas) as http,
        member(canvas.owner) as (ana, _),
        member(elsewhere(canvas.view, other)) as (ben, joined),
    ):
        await ana.until(m.Joined, lambda said: said.member.id == joined.you.id)
        assert (await ben.refused(layer(ben))).code == "not_allowed"
        assert (await http.put(f"/people/{joined.you.user}/role", json={"role": "editor"})).status_code == 204
        for who in (ana, ben):
            await who.until(m.Joined, lambda said: (said.member.id, said.member.role) == (joined.you.id, "editor"))
        await ben.do(layer(ben))
        await http.put(f"/people/{joined.you.user}/role", json={"role": "commenter"})
        await ben.until(m.Joined, lambda said: said.member.role == "commenter")
        assert (await ben.refused(layer(ben))).code == "not_allowed"


async def test_r7_a_role_that_was_given_counts_over_http_and_when_they_come_again(
    server: LiveServer, canvas: Links
) -> None:
    ben = await ticket_of(canvas.view)
    async with as_owner(server, canvas) as http, server.http() as plain:
        await http.put(f"/people/{ben['user']}/role", json={"role": "editor"})
        headers = {"authorization": f"Bearer {ben['access']}"}
        assert (await plain.put(f"{canvas.view.api}/blobs", content=b"x", headers=headers)).status_code != 403
        again = await ticket_of(canvas.view, user=ben["user"], user_key=ben["user_key"])
        assert again["role"] == "editor"
        assert (await ticket_of(canvas.view, user=ben["user"], user_key=ben["user_key"], watch=True))[
            "role"
        ] == "viewer"


async def test_r7_who_is_kicked_is_out_on_every_server_within_a_second_and_may_come_again(
    server: LiveServer, other: LiveServer, canvas: Links
) -> None:
    ben = await ticket_of(canvas.edit)
    known = {"user": ben["user"], "user_key": ben["user_key"]}
    async with (
        as_owner(server, canvas) as http,
        member(canvas.edit, **known) as (here, _),
        member(elsewhere(canvas.edit, other), **known) as (there, _),
    ):
        assert (await http.post(f"/people/{ben['user']}/kick")).status_code == 204
        assert [await here.closed(), await there.closed()] == [m.CLOSE_KICKED] * 2
        assert (there.seen[-1].code, m.CLOSE_KICKED >= 4500) == ("kicked", True)  # type: ignore[union-attr]
        refused = await http.get("/manifest", headers={"authorization": f"Bearer {ben['access']}"})
        assert (refused.status_code, refused.json()["code"]) == (403, "kicked")
        async with member(canvas.edit, **known) as (_, welcome):
            assert welcome.you.user == ben["user"]


async def test_r7_who_is_banned_is_out_and_stays_out_until_forgiven(
    server: LiveServer, other: LiveServer, canvas: Links
) -> None:
    ben = await ticket_of(canvas.edit, name="Ben")
    known = {"user": ben["user"], "user_key": ben["user_key"], "name": "Ben"}
    async with as_owner(server, canvas) as http, server.http() as plain:
        async with member(elsewhere(canvas.edit, other), **known) as (there, _):
            assert (await http.put(f"/people/{ben['user']}/ban", json={})).status_code == 204
            assert await there.closed() == m.CLOSE_BANNED
        again = await plain.post(f"{canvas.edit.api}/tickets", json={"secret": canvas.edit.secret, **known})
        assert (again.status_code, again.json()["code"]) == (403, "banned")
        (row,) = (await http.get("/people")).json()
        assert (row["name"], row["banned"]) == ("Ben", True)
        assert (await ticket_of(canvas.edit))["role"] == "editor", "others still come by the link"
        await http.delete(f"/people/{ben['user']}/ban")
        assert (await ticket_of(canvas.edit, **known))["user"] == ben["user"]


async def test_r7_a_ban_with_its_links_closes_them_for_everybody_who_came_by_them(
    server: LiveServer, canvas: Links
) -> None:
    ben = await ticket_of(canvas.edit)
    async with as_owner(server, canvas) as http, member(canvas.edit) as (cy, _), member(canvas.view) as (dan, _):
        await http.put(f"/people/{ben['user']}/ban", json={"links": True})
        assert await cy.closed() == m.CLOSE_REVOKED
        await dan.send(m.Ping(n=1))
        await dan.until(m.Pong)


async def test_r7_a_link_with_a_limit_and_an_end_is_made_shown_and_used_up(server: LiveServer, canvas: Links) -> None:
    async with as_owner(server, canvas) as http, server.http() as plain:
        made = (await http.post("/links", json={"role": "commenter", "expires_s": 3600, "max_uses": 1})).json()
        link = Link(server.origin, canvas.owner.canvas, made["secret"])
        async with member(link) as (_, welcome):
            assert welcome.you.role == "commenter"
        late = await plain.post(f"{link.api}/tickets", json={"secret": link.secret})
        assert (late.status_code, late.json()["code"]) == (403, "link_used_up")
        row = next(row for row in (await http.get("/links")).json() if row["id"] == made["id"])
        assert (row["state"], row["used"], row["max_uses"]) == ("used_up", 1, 1)
        assert made["secret"] not in str(row)
        for wrong in ({"role": "king"}, {"role": "viewer", "max_uses": 0}, {"role": "viewer", "expires_s": 1}):
            assert (await http.post("/links", json=wrong)).json()["code"] == "bad_json"


async def test_r7_an_owner_cannot_lock_themselves_out(server: LiveServer, canvas: Links) -> None:
    ana = await ticket_of(canvas.owner)
    headers = {"authorization": f"Bearer {ana['access']}"}
    async with server.http(headers=headers) as http:
        for method, path, body in (
            ("PUT", "role", {"role": "viewer"}),
            ("POST", "kick", None),
            ("PUT", "ban", {}),
        ):
            answer = await http.request(method, f"{canvas.owner.api}/people/{ana['user']}/{path}", json=body)
            assert (answer.status_code, answer.json()["code"]) == (403, "not_yourself")
