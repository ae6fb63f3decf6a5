"""Who is in a room, counted once whatever is heard of them (R7, R8)."""

from nanobana.protocol import messages as m
from nanobana_server.room.board import Board
from nanobana_server.room.presence import Presence

ANA = m.Member(id="ana-1", user="ana", name="Ana", color="#aa0000", role="owner")
BEN = m.Member(id="ben-1", user="ben", name="Ben", color="#00aa00", role="editor")


def test_r7_a_member_of_whom_the_store_told_first_is_counted_once() -> None:
    presence = Presence(Board())
    presence.reconcile([ANA, BEN])
    presence.join(ANA)
    assert presence.everybody == [ANA, BEN]
    assert presence.is_shared
    presence.reconcile([ANA])
    assert presence.everybody == [ANA]
    assert not presence.is_shared


def test_r7_who_has_left_does_not_come_back_by_what_the_store_still_says() -> None:
    presence = Presence(Board())
    presence.join(ANA)
    presence.leave(ANA.id)
    presence.reconcile([ANA])
    assert presence.everybody == []
