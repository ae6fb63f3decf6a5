"""Step-level batching: who takes part in a step, in which order, and what leaving changes (E7, E8)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nanobana_engine.scheduler import Pace, Scheduler, Unit


def scheduler(budget: float = 4.0) -> Scheduler:
    return Scheduler(budget)


def roomy(budget: float = 4.0) -> Scheduler:
    """On a device where company costs nothing."""
    return Scheduler(budget, Pace(fixed=float("inf")))


def join(
    on: Scheduler, edit: str, user: str, units: int = 1, cost: float = 1.0, *, lane: str = "live", alone: bool = False
) -> None:
    on.add(edit, user=user, lane=lane, alone=alone)  # type: ignore[arg-type]
    on.extend(edit, [Unit(edit, index, cost) for index in range(units)])


def edits(units: list[Unit]) -> list[str]:
    return [unit.edit for unit in units]


def test_e7_users_share_a_step_equally() -> None:
    on = scheduler()
    join(on, "a", "ana", units=9)
    join(on, "b", "ben", units=9)
    assert sorted(edits(on.next_step())) == ["a", "a", "b", "b"]


def test_e7_what_one_user_leaves_goes_to_the_others_where_that_costs_nobody_time() -> None:
    on = roomy()
    join(on, "a", "ana", units=9)
    join(on, "b", "ben", units=1)
    assert sorted(edits(on.next_step())) == ["a", "a", "a", "b"]


def test_e7_one_users_surplus_makes_nobodys_step_more_than_twice_as_long() -> None:
    on = scheduler()
    join(on, "flood", "ana", units=9)
    assert len(on.next_step()) == 4
    join(on, "night", "cleo", units=9, lane="batch")
    join(on, "b", "ben", units=1)
    assert sorted(edits(on.next_step())) == ["b", "flood"]
    join(on, "c", "cleo", units=1)
    join(on, "d", "dan", units=1)
    assert sorted(edits(on.next_step())) == ["b", "c", "d", "flood"], "equal shares are nobody's surplus"


def test_e7_what_company_costs_is_learnt_from_the_steps() -> None:
    slow, roomy = Pace(), Pace()
    for cost in (1.0, 2.0, 4.0, 1.0, 3.0):
        slow.note(cost, 0.01 + 0.03 * cost)
        roomy.note(cost, 0.10 + 0.01 * cost)
    assert slow.stretch(1.0, 4.0) == pytest.approx(0.13 / 0.04)
    assert roomy.stretch(1.0, 4.0) == pytest.approx(0.14 / 0.11)
    same = Pace()
    for _ in range(9):
        same.note(1.0, 0.05)
    assert same.stretch(1.0, 3.0) == 3.0, "nothing was learnt from steps of one size"


def test_e7_pictures_a_little_above_native_size_lose_no_place() -> None:
    on = scheduler(4.0)
    join(on, "a", "ana", units=9, cost=1.05)
    assert len(on.next_step()) == 4


def test_e7_edits_begin_one_at_a_time_and_first_for_who_has_nothing_to_run() -> None:
    on = scheduler(2.0)
    for edit in ("a1", "a2", "a3", "a4"):
        on.add(edit, user="ana", lane="live")
    begun = []

    def begin() -> None:
        edit = on.next_to_begin()
        if edit is not None:
            begun.append(edit)
            on.extend(edit, [Unit(edit, 0, 1.0)])

    begin()
    on.add("b1", user="ben", lane="live")
    on.add("night", user="cleo", lane="batch")
    for _ in range(4):
        begin()
    assert begun == ["a1", "b1", "a2"], "nobody has more begun than one step could take, batch waits for room"
    on.remove("a1")
    on.remove("a2")
    on.remove("b1")
    begin()
    begin()
    begin()
    assert begun[3:] == ["a3", "a4"]
    on.check_integrity()


def test_e7_batch_runs_on_what_the_live_lane_leaves() -> None:
    on = scheduler()
    join(on, "night", "ana", units=9, lane="batch")
    join(on, "now", "ben", units=3)
    assert edits(on.next_step()) == ["now", "now", "now", "night"]


def test_e7_a_unit_above_the_budget_still_runs_by_itself() -> None:
    on = scheduler(1.0)
    join(on, "big", "ana", cost=7.0)
    join(on, "small", "ben")
    assert [edits(on.next_step()) for _ in range(2)] == [["big"], ["small"]]


@given(st.lists(st.floats(0.1, 6.0), min_size=1, max_size=8))
def test_e7_everybody_gets_a_turn_within_one_round(costs: list[float]) -> None:
    on = scheduler()
    for index, cost in enumerate(costs):
        join(on, f"e{index}", f"u{index}", cost=cost)
    seen = {edit for _ in costs for edit in edits(on.next_step())}
    assert seen == {f"e{index}" for index in range(len(costs))}


def test_e7_edits_join_and_leave_between_steps() -> None:
    on = scheduler()
    join(on, "a", "ana")
    (unit,) = on.next_step()
    join(on, "b", "ben")
    on.finished(unit)
    assert edits(on.next_step()) == ["b"]
    assert on.remove("a")
    on.check_integrity()


def test_e8_leaving_touches_only_its_own_edit() -> None:
    on = scheduler()
    join(on, "a", "ana")
    join(on, "a2", "ana")
    join(on, "b", "ben")
    on.remove("a")
    assert sorted(edits(on.next_step())) == ["a2", "b"]
    assert not on.remove("a")
    on.check_integrity()


def test_e8_an_edit_that_runs_alone_shares_no_step() -> None:
    on = scheduler()
    join(on, "suspect", "ana", alone=True)
    join(on, "b", "ben")
    steps = [edits(on.next_step()) for _ in range(4)]
    assert steps == [["suspect"], ["b"], ["suspect"], ["b"]]


def test_an_edit_joins_once() -> None:
    on = scheduler()
    join(on, "a", "ana")
    with pytest.raises(ValueError, match="already"):
        join(on, "a", "ana")


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.sampled_from(["ana", "ben"]), st.booleans(), st.booleans())))
def test_the_books_agree_whatever_happens(history: list[tuple[str, str, bool, bool]]) -> None:
    on = scheduler()
    for edit, user, joins, alone in history:
        if joins and edit not in on:
            join(on, edit, user, units=2, alone=alone, lane="batch" if alone else "live")
        else:
            on.remove(edit)
        for unit in on.next_step():
            on.finished(unit)
        on.check_integrity()


@given(st.integers(2, 8), st.sampled_from([0.5, 1.0, 1.3, 1.5, 2.0, 3.0, 5.0]))
def test_e7_a_flood_of_edits_delays_nobody_else_beyond_their_turn(users: int, cost: float) -> None:
    on = scheduler(4.0)
    for index in range(users):
        join(on, f"e{index}", f"u{index}", units=30 if index == 0 else 1, cost=cost)
    skipped = dict.fromkeys((f"e{index}" for index in range(users)), 0)
    at_once = max(1, int(4.0 // cost))
    for _ in range(60):
        step = edits(on.next_step())
        if set(step) == {"e0"}:
            assert at_once == 1, "the flood took a step in which another's unit would have fitted"
        for edit in skipped:
            skipped[edit] = 0 if edit in step else skipped[edit] + 1
            assert skipped[edit] <= -(-users // at_once) - 1


def test_e7_what_is_left_goes_round_unit_by_unit() -> None:
    on = roomy(6.0)
    for user in ("ana", "ben", "cleo", "dan"):
        join(on, user, user, units=9)
    first, second = edits(on.next_step()), edits(on.next_step())
    assert sorted(first) == ["ana", "ana", "ben", "ben", "cleo", "dan"]
    assert sorted(second) == ["ana", "ben", "cleo", "cleo", "dan", "dan"]
