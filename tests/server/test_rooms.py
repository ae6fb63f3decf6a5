"""Members in one room: joining, seeing each other, resuming, being sent away (R1–R8)."""

import time

import pytest

from nanobana.protocol import PROTOCOL_VERSION
from nanobana.protocol import messages as m
from nanobana.protocol.canvas import Change, OpId, Position
from nanobana_server.room.refusals import Refusals
from nanobana_server.store import open_store
from support.live_server import Links, LiveServer
from support.members import RawMember, member, socket_of, ticket_of
from support.valkey import PrivateValkey


def add_layer(who: RawMember, layer: str) -> m.LayerAdd:
    return m.LayerAdd(op=who.op(), layer=layer, name=layer)


async def a_change(who: RawMember) -> Change:
    """A change that somebody saw, before or after the answer to their op."""
    seen = [message.change for message in who.seen if isinstance(message, m.Changed)]
    return seen[-1] if seen else (await who.until(m.Changed)).change


async def test_r5_a_newcomer_gets_the_manifest_and_then_what_follows(canvas: Links) -> None:
    async with member(canvas.edit) as (ana, _), member(canvas.edit) as (ben, welcome):
        assert welcome.manifest is not None and welcome.manifest.layers == []
        ack = await ana.do(add_layer(ana, "sky"))
        change = (await ben.until(m.Changed)).change
        assert (change.seq, change.layers and change.layers[0].id) == (ack.seq, "sky")
        async with member(canvas.view) as (_, later):
            assert later.manifest is not None and [layer.id for layer in later.manifest.layers] == ["sky"]


async def test_r2_the_author_gets_an_ack_with_the_seq_of_the_change(canvas: Links) -> None:
    async with member(canvas.edit) as (ana, welcome):
        ack = await ana.do(add_layer(ana, "sky"))
        assert ack.seq == welcome.position.seq + 1


async def test_an_op_that_arrived_is_done_although_its_author_left_at_once(canvas: Links) -> None:
    async with member(canvas.view) as (ben, _):
        async with member(canvas.edit) as (ana, _):
            await ana.send(*(add_layer(ana, f"l{n}") for n in range(5)))
        await ben.until(m.Changed, lambda changed: changed.change.seq == 5)


async def test_c6_an_op_that_is_sent_twice_is_answered_twice_and_done_once(canvas: Links) -> None:
    async with member(canvas.edit) as (ana, _):
        op = add_layer(ana, "sky")
        assert (await ana.do(op)).seq == (await ana.do(op)).seq


async def test_r5_a_reader_that_resumes_gets_the_tail_and_no_manifest(canvas: Links) -> None:
    async with member(canvas.edit) as (ana, _):
        async with member(canvas.edit) as (ben, _):
            await ana.do(add_layer(ana, "sky"))
            seen = (await ben.until(m.Changed)).change
        for name in ("sea", "sun"):
            await ana.do(add_layer(ana, name))
        async with member(canvas.edit, position=Position(seen.epoch, seen.seq, seen.op)) as (ben, welcome):
            assert welcome.manifest is None
            assert [(await ben.until(m.Changed)).change.seq for _ in range(2)] == [seen.seq + 1, seen.seq + 2]


@pytest.mark.parametrize("wrong", ["epoch", "op", "beyond"])
async def test_c4_a_position_that_the_log_does_not_have_gets_a_manifest(canvas: Links, wrong: str) -> None:
    async with member(canvas.edit) as (ana, _):
        await ana.do(add_layer(ana, "sky"))
        seen = await a_change(ana)
    position = {
        "epoch": Position(seen.epoch + 1, seen.seq, seen.op),
        "op": Position(seen.epoch, seen.seq, ana.op()),
        "beyond": Position(seen.epoch, seen.seq + 5, seen.op),
    }[wrong]
    async with member(canvas.edit, position=position) as (_, welcome):
        assert welcome.manifest is not None


async def test_r5_who_was_away_longer_than_the_log_reaches_gets_names_and_its_unsent_work_still_counts(
    canvas: Links, valkey: PrivateValkey
) -> None:
    async with member(canvas.edit) as (ana, _):
        await ana.do(add_layer(ana, "sky"))
        seen = await a_change(ana)
        for name in ("sea", "sun"):
            await ana.do(add_layer(ana, name))
    store = await open_store(valkey.url)
    assert await store.archive_log(canvas.edit.canvas, kept_ms=-1, chapter=2) == 1
    await store.aclose()
    async with member(canvas.edit, position=Position(seen.epoch, seen.seq, seen.op)) as (ben, welcome):
        assert welcome.manifest is not None
        assert [layer.id for layer in welcome.manifest.layers] == ["sky", "sea", "sun"]
        await ben.do(m.LayerSet(op=ben.op(), layer="sky", name="Heaven"))


async def test_r6_members_see_each_others_cursors_strokes_and_masks(canvas: Links) -> None:
    async with member(canvas.edit, name="Ana") as (ana, welcome), member(canvas.view) as (ben, _):
        await ana.send(m.Cursor(x=3.0, y=4.0))
        assert (await ben.until(m.Cursors)).rows == [(welcome.you.id, 3.0, 4.0)]
        await ana.send(m.Stroke(id="s", kind="paint", points=[1.0, 2.0, 0.5]))
        assert (await ben.until(m.MemberStroke)).member == welcome.you.id


async def test_r7_the_server_says_who_somebody_is(canvas: Links) -> None:
    async with member(canvas.edit, name="Ana") as (_, ana), member(canvas.view, name=" Ben\n ") as (_, ben):
        assert (ben.you.name, ben.you.role) == ("Ben", "viewer")
        assert {who.id: who.name for who in ben.members} == {ana.you.id: "Ana", ben.you.id: "Ben"}
        assert ana.you.color != ben.you.color


async def test_members_hear_who_comes_and_goes(canvas: Links) -> None:
    async with member(canvas.edit) as (ana, _):
        async with member(canvas.view) as (_, ben):
            assert (await ana.until(m.Joined, lambda joined: joined.member.id == ben.you.id)).member.role == "viewer"
        assert (await ana.until(m.Left)).id == ben.you.id


async def test_r7_a_viewers_op_is_refused_with_a_reason_and_changes_nothing(canvas: Links) -> None:
    async with member(canvas.view) as (ben, welcome):
        assert (await ben.refused(add_layer(ben, "sky"))).code == "not_allowed"
    async with member(canvas.view) as (_, later):
        assert later.position == welcome.position


async def test_c6_an_op_that_was_refused_is_not_taken_when_it_comes_again(canvas: Links) -> None:
    known = await ticket_of(canvas.edit)
    me = {"client": "tab", "user": known["user"], "user_key": known["user_key"]}
    async with member(canvas.edit, **me) as (ana, _):
        twice = m.LayerSet(op=ana.op(), layer="sky", name="Heaven")
        first = await ana.refused(twice)
        await ana.do(add_layer(ana, "sky"))
        assert await ana.refused(twice) == first
    async with member(canvas.edit, **me) as (again, _):
        assert (await again.refused(twice)).code == first.code


def test_c6_a_refusal_that_asks_to_come_again_is_not_remembered_and_only_so_many_are() -> None:
    refusals = Refusals()
    refusals.note(m.Reject(op=OpId("tab", 1), code="too_many", message="later", retry_ms=10))
    for n in range(2, 300):
        refusals.note(m.Reject(op=OpId("tab", n), code="layer_gone", message="gone"))
    assert [refusals.of(OpId("tab", n)) is not None for n in (1, 2, 43, 44, 299)] == [False, False, False, True, True]


async def test_r7_an_op_under_another_tabs_client_id_is_refused(canvas: Links) -> None:
    async with member(canvas.edit) as (ana, _), member(canvas.edit) as (ben, _):
        await ana.send(add_layer(ben, "sky"))
        assert (await ana.until(m.Reject)).code == "not_yours"


async def test_r7_a_client_id_stays_with_the_user_who_came_with_it_first(canvas: Links) -> None:
    async with member(canvas.edit, client="tab") as (_, ana):
        pass
    ticket = (await ticket_of(canvas.edit))["ticket"]
    async with socket_of(canvas.edit) as socket:
        thief = RawMember(socket, "tab")
        await thief.send(m.Hello(protocol=PROTOCOL_VERSION, ticket=ticket, client="tab"))
        assert (await thief.until(m.Problem)).code == "client_taken"
        assert await thief.closed() == m.CLOSE_PROTOCOL
    assert ana.you.user


async def test_r7_a_revoked_link_closes_its_sockets_within_a_second(told: LiveServer) -> None:
    canvas = await told.new_canvas()
    access = (await ticket_of(canvas.owner))["access"]
    async with told.http(headers={"authorization": f"Bearer {access}"}) as http:
        links = (await http.get(f"{canvas.owner.api}/links")).json()
        doomed = next(link["id"] for link in links if link["role"] == "viewer")
        async with member(canvas.view) as (ben, _), member(canvas.edit) as (ana, _):
            assert (await http.delete(f"{canvas.owner.api}/links/{doomed}")).status_code == 204
            assert await ben.closed() == m.CLOSE_REVOKED
            assert (await ana.do(add_layer(ana, "sky"))).seq > 0
        async with told.http() as stranger:
            again = await stranger.post(f"{canvas.view.api}/tickets", json={"secret": canvas.view.secret})
            assert (again.status_code, again.json()["code"]) == (403, "bad_link")


async def test_r8_a_ticket_works_once(canvas: Links) -> None:
    ticket = (await ticket_of(canvas.edit))["ticket"]
    hello = m.Hello(protocol=PROTOCOL_VERSION, ticket=ticket, client="tab")
    async with socket_of(canvas.edit) as first, socket_of(canvas.edit) as second:
        ana, ben = RawMember(first, "tab"), RawMember(second, "tab")
        await ana.send(hello)
        await ana.until(m.Welcome)
        await ben.send(hello)
        assert await ben.closed() == m.CLOSE_TICKET


async def test_r8_a_ticket_of_one_canvas_does_not_open_another(server: LiveServer, canvas: Links) -> None:
    other = await server.new_canvas()
    ticket = (await ticket_of(other.edit))["ticket"]
    async with socket_of(canvas.edit) as socket:
        ana = RawMember(socket, "tab")
        await ana.send(m.Hello(protocol=PROTOCOL_VERSION, ticket=ticket, client="tab"))
        assert await ana.closed() == m.CLOSE_TICKET


async def test_r8_an_older_protocol_is_told_to_reload(canvas: Links) -> None:
    ticket = (await ticket_of(canvas.edit))["ticket"]
    async with socket_of(canvas.edit) as socket:
        ana = RawMember(socket, "tab")
        await ana.send(m.Hello(protocol=PROTOCOL_VERSION + 1, ticket=ticket, client="tab"))
        assert (await ana.until(m.Problem)).code == "protocol"
        assert await ana.closed() == m.CLOSE_PROTOCOL


async def test_r8_a_deleted_canvas_closes_its_sockets_for_good(server: LiveServer, canvas: Links) -> None:
    access = (await ticket_of(canvas.owner))["access"]
    async with member(canvas.edit) as (ana, _), server.http(headers={"authorization": f"Bearer {access}"}) as http:
        answer = await http.delete(canvas.owner.api)
        assert answer.json()["until_ms"] > time.time() * 1000 + 6 * 86_400_000
        assert await ana.closed() == m.CLOSE_GONE


async def test_c12_a_deleted_canvas_is_gone_for_all_until_an_owner_takes_it_back_as_it_was(
    server: LiveServer, canvas: Links
) -> None:
    async with member(canvas.edit) as (ana, _):
        await ana.do(m.LayerAdd(op=ana.op(), layer="kept", name="Kept"))
    access = (await ticket_of(canvas.owner))["access"]
    seen = (await ticket_of(canvas.view))["access"]
    async with server.http() as http:
        before = (await http.get(f"{canvas.owner.api}/manifest", headers={"authorization": f"Bearer {access}"})).json()
        await http.delete(canvas.owner.api, headers={"authorization": f"Bearer {access}"})
        for role in ("owner", "edit", "view"):
            secret = {"owner": canvas.owner, "edit": canvas.edit, "view": canvas.view}[role].secret
            answer = await http.post(f"{canvas.owner.api}/tickets", json={"secret": secret})
            assert (answer.status_code, answer.json()["code"]) == (410, "canvas_deleted")
        refused = await http.get(f"{canvas.owner.api}/manifest", headers={"authorization": f"Bearer {seen}"})
        assert refused.status_code in (403, 404)
        refused = await http.post(f"{canvas.owner.api}/take-back", json={"secret": canvas.edit.secret})
        assert (refused.status_code, refused.json()["code"]) == (403, "not_allowed")
        back = await http.post(f"{canvas.owner.api}/take-back", json={"secret": canvas.owner.secret})
        assert back.status_code == 204
        after = (await http.get(f"{canvas.owner.api}/manifest", headers={"authorization": f"Bearer {access}"})).json()
        assert after == before
        again = await http.post(f"{canvas.owner.api}/take-back", json={"secret": canvas.owner.secret})
        assert (again.status_code, again.json()["code"]) == (404, "no_canvas")
