"""Links, tickets, the secret and presence (design §8, R7)."""

import anyio
import msgspec
import pytest

from nanobana.keyspace.keys import CanvasKeys
from nanobana.protocol.errors import Conflict, NanobanaError, NotAllowed, NotFound
from nanobana.protocol.messages import Member
from nanobana_server.store import Store
from nanobana_server.store.access import Invitation, Stay
from support.strokes import Easel


async def refusal(store: Store, canvas: str, secret: str, user: str) -> str:
    """The code with which somebody is refused who comes by a link."""
    with pytest.raises(NotAllowed) as refused:
        await store.admit(canvas, secret, user)
    return refused.value.code


async def test_a_link_lets_in_until_it_is_revoked(store: Store, easel: Easel) -> None:
    made = await store.create_links(easel.id)
    assert set(made) == {"owner", "editor", "commenter", "viewer"}
    link, secret = made["viewer"]
    admitted = await store.admit(easel.id, secret, "ana")
    assert (admitted.link, admitted.role) == (link, "viewer")
    await store.revoke_link(easel.id, link)
    assert await refusal(store, easel.id, secret, "ana") == "bad_link"
    assert await refusal(store, easel.id, "guess", "ana") == "bad_link"
    assert [(kept.role, kept.state, kept.used) for kept in await store.list_links(easel.id)] == [
        ("owner", "open", 0),
        ("editor", "open", 0),
        ("commenter", "open", 0),
        ("viewer", "revoked", 1),
    ]
    with pytest.raises(NotFound):
        await store.revoke_link(easel.id, "nobody")


async def test_a_link_for_three_people_lets_in_three_of_many_who_come_at_once_and_those_again(
    store: Store, easel: Easel
) -> None:
    link, secret = await store.create_link(easel.id, Invitation(role="editor", max_uses=3))
    came: dict[str, str] = {}

    async def come(user: str) -> None:
        try:
            came[user] = (await store.admit(easel.id, secret, user)).role
        except NanobanaError as error:
            came[user] = error.code

    async with anyio.create_task_group() as group:
        for n in range(12):
            group.start_soon(come, f"u{n}")
    inside = [user for user, what in came.items() if what == "editor"]
    assert len(inside) == 3
    assert set(came.values()) == {"editor", "link_used_up"}
    assert (await store.admit(easel.id, secret, inside[0])).link == link
    (kept,) = await store.list_links(easel.id)
    assert (kept.state, kept.used, kept.holds) == ("used_up", 3, True)
    assert [await store.links_of(easel.id, user) for user in (inside[0], "stranger")] == [[link], []]


async def test_a_link_ends_when_its_time_is_over_by_the_stores_clock(store: Store, easel: Easel) -> None:
    now_ms = await store.now_ms()
    _, late = await store.create_link(easel.id, Invitation(role="editor", expires_ms=now_ms - 1))
    _, early = await store.create_link(easel.id, Invitation(role="editor", expires_ms=now_ms + 60_000))
    assert await refusal(store, easel.id, late, "ana") == "link_expired"
    assert (await store.admit(easel.id, early, "ana")).role == "editor"
    assert [kept.holds for kept in await store.list_links(easel.id)].count(True) == 1


async def test_r7_who_may_stay_is_what_links_and_verdicts_say_and_nobody_once_the_canvas_is_deleted(
    store: Store, easel: Easel
) -> None:
    assert await store.who_may_stay(easel.id) is None
    now_ms = await store.now_ms()
    lasting, secret = await store.create_link(easel.id, Invitation(role="owner"))
    used_up, once = await store.create_link(easel.id, Invitation(role="viewer", max_uses=1))
    revoked, _ = await store.create_link(easel.id, Invitation(role="editor"))
    await store.admit(easel.id, secret, "ana")
    await store.admit(easel.id, once, "ben")
    await store.revoke_link(easel.id, revoked)
    await store.decide_about(easel.id, "ana", "ben", "role", "editor")
    stay = await store.who_may_stay(easel.id)
    assert stay == Stay(links=frozenset({lasting, used_up}), verdicts=tuple(await store.verdicts(easel.id)))
    await store.create_link(easel.id, Invitation(role="editor", expires_ms=now_ms - 1))
    early, _ = await store.create_link(easel.id, Invitation(role="editor", expires_ms=now_ms + 600_000))
    stay = await store.who_may_stay(easel.id)
    assert stay is not None and stay.links == {lasting, used_up, early}
    assert stay.links == {link.id for link in await store.list_links(easel.id) if link.holds}
    await store.set_aside(easel.id, 600_000)
    assert await store.who_may_stay(easel.id) == Stay(links=frozenset(), verdicts=())


async def test_the_last_link_by_which_an_owner_can_always_come_stays(store: Store, easel: Easel) -> None:
    last, _ = await store.create_link(easel.id, Invitation(role="owner"))
    passing = [
        await store.create_link(easel.id, Invitation(role="owner", max_uses=1)),
        await store.create_link(easel.id, Invitation(role="owner", expires_ms=await store.now_ms() + 60_000)),
    ]
    with pytest.raises(Conflict) as refused:
        await store.revoke_link(easel.id, last)
    assert refused.value.code == "last_owner"
    for link, _ in passing:
        await store.revoke_link(easel.id, link)
    another, _ = await store.create_link(easel.id, Invitation(role="owner"))
    taken: list[str] = []

    async def revoke(link: str) -> None:
        try:
            await store.revoke_link(easel.id, link)
            taken.append(link)
        except Conflict:
            pass

    async with anyio.create_task_group() as group:
        for link in (last, another):
            group.start_soon(revoke, link)
    assert len(taken) == 1, "of two owners who revoke each other's link at once one stays"


async def test_r7_what_an_owner_decides_about_somebody_is_kept(store: Store, easel: Easel) -> None:
    _, secret = await store.create_link(easel.id, Invitation(role="editor"))
    before_ms = await store.now_ms()
    await store.decide_about(easel.id, "ana", "ben", "role", "commenter")
    await store.decide_about(easel.id, "ana", "ben", "ban")
    (ben,) = await store.verdicts(easel.id)
    assert (ben.user, ben.role, ben.banned) == ("ben", "commenter", True)
    assert ben.kicked_ms >= before_ms
    assert await refusal(store, easel.id, secret, "ben") == "banned"
    await store.decide_about(easel.id, "ana", "ben", "forgive")
    again = await store.admit(easel.id, secret, "ben")
    assert (again.link_role, again.role) == ("editor", "commenter")


async def test_r7_of_two_owners_who_demote_each_other_the_first_one_stays_owner(store: Store, easel: Easel) -> None:
    await store.decide_about(easel.id, "ana", "ben", "role", "viewer")
    with pytest.raises(NotAllowed):
        await store.decide_about(easel.id, "ben", "ana", "role", "viewer")
    with pytest.raises(NotAllowed) as refused:
        await store.decide_about(easel.id, "ana", "ana", "ban")
    assert refused.value.code == "not_yourself"
    assert [verdict.user for verdict in await store.verdicts(easel.id)] == ["ben"]


async def test_the_store_keeps_no_secret_of_a_link_and_a_link_opens_one_canvas_only(store: Store, easel: Easel) -> None:
    other = await Easel.new(store)
    _, secret = (await store.create_links(easel.id))["owner"]
    kept = await store.client.call("HGETALL", CanvasKeys(easel.id).links)
    assert secret not in repr(kept)
    assert await refusal(store, other.id, secret, "ana") == "bad_link"


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
