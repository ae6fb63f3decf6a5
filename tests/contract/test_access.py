"""Links, tickets, the secret and presence (design §8, R7)."""

import anyio
import msgspec
import pytest

from nanobana.keyspace.keys import CanvasKeys
from nanobana.protocol.errors import NotFound
from nanobana.protocol.messages import Member
from nanobana_server.store import Store
from support.strokes import Easel


async def test_a_link_is_found_by_its_secret_until_it_is_revoked(store: Store, easel: Easel) -> None:
    secrets = await store.create_links(easel.id)
    assert set(secrets) == {"owner", "editor", "viewer"}
    found = await store.find_link(easel.id, secrets["viewer"])
    assert found is not None
    link, role = found
    assert role == "viewer"
    assert await store.link_holds(easel.id, link)
    await store.revoke_link(easel.id, link)
    assert await store.find_link(easel.id, secrets["viewer"]) is None
    assert not await store.link_holds(easel.id, link)
    assert await store.find_link(easel.id, "guess") is None
    assert [(kept.role, kept.revoked) for kept in await store.list_links(easel.id)] == [
        ("owner", False),
        ("editor", False),
        ("viewer", True),
    ]
    with pytest.raises(NotFound):
        await store.revoke_link(easel.id, "nobody")


async def test_the_store_keeps_no_secret_of_a_link_and_a_link_opens_one_canvas_only(store: Store, easel: Easel) -> None:
    other = await Easel.new(store)
    secret = (await store.create_links(easel.id))["owner"]
    kept = await store.client.call("HGETALL", CanvasKeys(easel.id).links)
    assert secret not in repr(kept)
    assert await store.find_link(other.id, secret) is None


async def test_a_ticket_works_once_for_one_of_many(store: Store) -> None:
    ticket = await store.issue_ticket({"canvas": "c", "role": "editor"})
    taken: list[object] = []

    async def take() -> None:
        taken.append(await store.take_ticket(ticket))

    async with anyio.create_task_group() as group:
        for _ in range(5):
            group.start_soon(take)
    assert [claims for claims in taken if claims is not None] == [{"canvas": "c", "role": "editor"}]


async def test_a_ticket_lives_for_a_minute_at_most(store: Store) -> None:
    await store.issue_ticket({}, ttl_s=3600)
    if not store.client.is_cluster:
        keys = await store.client.call("KEYS", "nb:ticket:*")
        assert keys
        assert all([0 < await store.client.call("TTL", key) <= 60 for key in keys])


async def test_all_servers_share_one_secret(store: Store) -> None:
    first, again = await store.secret(), await Store(store.client, store.pool).secret()
    assert first == again
    assert len(first) == 32


async def test_members_are_listed_until_they_leave_or_their_server_falls_silent(store: Store, easel: Easel) -> None:
    ana = Member(id="m1", user="ana", name="Ana", color="#aa0000", role="editor")
    ben = msgspec.structs.replace(ana, id="m2", user="ben")
    for member in (ana, ben):
        await store.put_member(easel.id, member)
    assert await store.members(easel.id) == [ana, ben]
    await store.drop_member(easel.id, "m1")
    assert await store.members(easel.id) == [ben]
    silent = b"%016d" % 1 + msgspec.msgpack.encode(ana)
    await store.client.call("HSET", CanvasKeys(easel.id).members, "m1", silent)
    assert await store.members(easel.id) == [ben]
