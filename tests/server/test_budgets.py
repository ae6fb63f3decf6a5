"""Requests and edits beyond somebody's budget are told how long to wait, by every server of the store (R10)."""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import httpx2 as httpx
import numpy as np
import pytest

from nanobana.protocol import messages as m
from nanobana.protocol.geometry import Box
from nanobana.protocol.parameters import EditParams
from nanobana.raster.codec import encode_png
from nanobana_server.policy.budgets import network_of
from support.live_server import Links, LiveServer, live_server
from support.members import RawMember, member, ticket_of
from support.valkey import PrivateValkey

MASK = encode_png(np.full((16, 16), 255, np.uint8))


@pytest.fixture(scope="module")
async def servers(anyio_backend: object, valkey: PrivateValkey) -> AsyncIterator[tuple[LiveServer, LiveServer]]:
    """Two servers of one store; one person may do two of each a minute, a link three times that."""
    tight: dict[str, Any] = {"edits_per_minute": 2, "uploads_per_minute": 2, "link_share": 3}
    async with live_server(valkey.url, **tight) as one, live_server(valkey.url, **tight) as two:
        yield one, two


def at(server: LiveServer, links: Links) -> Links:
    """The same canvas by another server."""
    return Links(
        *(replace(link, origin=server.origin) for link in (links.owner, links.edit, links.view, links.comment))
    )


def edit(who: RawMember, x: int) -> m.Edit:
    return m.Edit(op=who.op(), edit=EditParams(box=Box(x, 0, x + 16, 16), mask_png=MASK, prompt="red"))


async def put(server: LiveServer, canvas: str, access: str) -> httpx.Response:
    async with server.http() as http:
        headers = {"authorization": f"Bearer {access}"}
        return await http.put(f"/api/canvases/{canvas}/blobs", content=MASK, headers=headers)


async def test_r10_a_persons_edits_are_counted_by_all_servers_together(servers: tuple[LiveServer, LiveServer]) -> None:
    one, two = servers
    links = await one.new_canvas()
    who = await ticket_of(links.edit)
    me = {"user": who["user"], "user_key": who["user_key"]}
    async with member(links.edit, **me) as (here, _), member(at(two, links).edit, **me) as (there, _):
        await here.do(edit(here, 0))
        await there.do(edit(there, 32))
        refused = await here.refused(edit(here, 64))
        assert refused.code == "too_many"
        assert refused.retry_ms is not None and 0 < refused.retry_ms <= 30_001
        assert "2 edits a minute" in refused.message and "nothing is lost" in refused.message
    async with member(links.edit) as (other, _):
        await other.do(edit(other, 96))


async def test_r10_uploads_are_429_with_retry_after_and_people_of_one_link_share_a_budget(
    servers: tuple[LiveServer, LiveServer],
) -> None:
    one, two = servers
    links = await one.new_canvas()
    codes: list[int] = []
    access = ""
    for _person in range(3):
        access = (await ticket_of(links.edit))["access"]
        codes += [(await put(server, links.edit.canvas, access)).status_code for server in (one, two)]
    third = await put(one, links.edit.canvas, access)
    assert codes == [201] * 6
    assert third.status_code == 429
    assert 1 <= int(third.headers["retry-after"]) <= 31
    assert third.json()["message"].startswith("You sent more than 2 pictures a minute. Wait ")
    everybody = await put(two, links.edit.canvas, (await ticket_of(links.edit))["access"])
    assert everybody.status_code == 429
    assert "ask the owner for a link of your own" in everybody.json()["message"]
    assert b'nanobana_over_budget_total{what="uploads"}' in await _figures(one)


async def test_behaviour_22_what_an_edit_counts_for_is_told_before_it_is_asked(valkey: PrivateValkey) -> None:
    async with live_server(valkey.url, edits_per_day=3, link_share=1) as live, live_server(valkey.url) as free:
        links = await live.new_canvas()
        who = await ticket_of(links.edit)
        assert await day(live, links, who["access"]) == {"per_day": 3, "left": 3, "next_s": 0, "is_shared": False}
        async with member(links.edit, user=who["user"], user_key=who["user_key"]) as (ana, _):
            await ana.do(edit(ana, 0))
            told = await day(live, links, who["access"])
            assert (told["left"], told["is_shared"]) == (2, False) and 0 < told["next_s"] <= 28_800
            await ana.do(edit(ana, 32))
        async with member(links.edit) as (ben, _):
            await ben.do(edit(ben, 64))
        told = await day(live, links, who["access"])
        assert (told["left"], told["is_shared"]) == (0, True) and 0 < told["next_s"] <= 28_800
        assert await day(free, links, who["access"]) is None


async def day(server: LiveServer, links: Links, access: str) -> Any:
    async with server.http() as http:
        headers = {"authorization": f"Bearer {access}"}
        return (await http.get(f"/api/canvases/{links.edit.canvas}/allowance", headers=headers)).json()["day"]


async def _figures(server: LiveServer) -> bytes:
    async with server.http() as http:
        return (await http.get("/metrics")).content


@pytest.mark.parametrize(
    ("address", "network"),
    [("10.0.0.7", "10.0.0.7"), ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"), ("testclient", "testclient")],
)
def test_r10_an_address_of_ipv6_counts_as_its_network(address: str, network: str) -> None:
    assert network_of(address) == network
