"""A room on a Valkey Cluster of three behaves as on one store (C7)."""

from collections.abc import Iterator

import pytest

from nanobana.protocol import messages as m
from support.cluster import cluster_url, private_cluster
from support.live_server import live_server
from support.members import member

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(180)]


@pytest.fixture(scope="module")
def three_nodes() -> Iterator[str]:
    with private_cluster() as nodes:
        yield cluster_url(nodes[0])


async def test_c7_members_share_changes_cursors_and_presence_on_a_cluster(three_nodes: str) -> None:
    async with live_server(three_nodes) as one, live_server(three_nodes) as other:
        for _ in range(4):  # canvases in several slots
            links = await one.new_canvas()
            there = type(links.view)(other.origin, links.view.canvas, links.view.secret)
            async with member(links.edit) as (ana, welcome), member(there) as (ben, _):
                await ana.until(m.Joined, lambda joined: joined.member.role == "viewer")
                ack = await ana.do(m.LayerAdd(op=ana.op(), layer="sky", name="sky"))
                assert (await ben.until(m.Changed)).change.seq == ack.seq
                await ana.send(m.Cursor(x=1.0, y=2.0))
                assert (await ben.until(m.Cursors)).rows == [(welcome.you.id, 1.0, 2.0)]
