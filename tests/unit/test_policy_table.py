"""The tables of access deny by default (R7)."""

import pytest

from nanobana.protocol import messages as m
from nanobana_server.policy.table import OPS, ROLES, Need, may, satisfies


def test_r7_a_message_that_the_table_does_not_name_may_be_sent_by_nobody() -> None:
    class Unnamed(m.Ping, frozen=True, tag="unnamed"):
        pass

    assert not any(may(role, Unnamed) for role in ROLES)


def test_r7_a_viewer_may_look_and_point_and_nothing_else() -> None:
    assert {kind for kind in OPS if may("viewer", kind)} == {m.Hello, m.Ping, m.Cursor, m.Look, m.Diverged}


@pytest.mark.parametrize(
    ("need", "roles"),
    [
        (Need.VIEWER, {"viewer", "commenter", "editor", "owner"}),
        (Need.COMMENTER, {"commenter", "editor", "owner"}),
        (Need.EDITOR, {"editor", "owner"}),
        (Need.OWNER, {"owner"}),
        (Need.SECRET, set()),
        (Need.TICKET, set()),
    ],
)
def test_a_role_is_enough_for_what_it_stands_for(need: Need, roles: set[str]) -> None:
    assert {role for role in ROLES if satisfies(role, need)} == roles
