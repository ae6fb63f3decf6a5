"""The desk where engines take tickets: fair, nothing twice, nothing lost, no waiting for the dead (E7, J1, J2)."""

from __future__ import annotations

import random

import anyio
import pytest

from nanobana_engine.worker.intake import LANES
from nanobana_server import jobs
from nanobana_server.store import Store
from support.desk import MOST, SLOTS, Desk, of
from support.work import numbers


@pytest.fixture
async def desk(store: Store) -> Desk:
    desk = Desk(store)
    await desk.engine("one")
    return desk


async def test_e7_a_flood_that_fills_every_slot_delays_nobody_elses_ticket(desk: Desk) -> None:
    await desk.put(*of("ana", 30))
    assert await desk.take_all() == [f"ana-{n}" for n in range(SLOTS)]
    await desk.put(*of("ben", 3))
    assert await desk.take_all() == ["ben-0", "ben-1"], "an equal share of the slots, at once"
    await desk.put(*of("cleo", 1))
    assert await desk.take_all() == ["cleo-0"]


async def test_e7_a_slot_that_comes_free_goes_to_who_has_least_in_hand(desk: Desk) -> None:
    await desk.put(*of("ana", 30))
    await desk.take_all()
    await desk.put(*of("ben", 5))
    await desk.take_all()
    for n in range(3):
        await desk.done(f"ana-{n}")
    assert await desk.take_all() == ["ana-4"], "she has one in hand, he has two"
    await desk.done("ben-0")
    assert await desk.take_all() == ["ben-2"]


async def test_e7_users_with_as_much_in_hand_take_turns_and_keep_their_own_order(desk: Desk) -> None:
    await desk.put(*of("ana", 3), *of("ben", 3), *of("cleo", 3))
    order = []
    while (job := await desk.take()) is not None:
        order.append(job)
        await desk.done(job)
    assert order == ["ana-0", "ben-0", "cleo-0", "ana-1", "ben-1", "cleo-1", "ana-2", "ben-2", "cleo-2"]
    assert await desk.is_empty()


async def test_e7_a_ticket_in_front_goes_before_its_authors_others_and_nobody_elses(desk: Desk) -> None:
    await desk.put(*of("ana", SLOTS + 2))
    await desk.take_all()
    await desk.put("ben/0")
    await desk.put("ana/urgent", front=True)
    unread = numbers(await jobs.queue_places(desk.store, desk.family))
    assert unread == {"ana-urgent": 1, "ben-0": 2, f"ana-{SLOTS}": 3, f"ana-{SLOTS + 1}": 4}
    assert await desk.take() == "ben-0", "it stays Ben's turn"
    for n in range(2):  # Ben's came on top of what the slots hold
        await desk.done(f"ana-{n}")
    assert await desk.take() == "ana-urgent"


async def test_j1_batch_waits_for_a_free_slot_and_for_every_live_ticket(desk: Desk) -> None:
    await desk.put(*of("ana", 2), lane="batch")
    await desk.put(*of("ben", SLOTS))
    assert await desk.take_all() == [f"ben-{n}" for n in range(SLOTS)]
    await desk.done("ben-0")
    assert await desk.take_all() == ["ana-0"]
    assert await desk.take_all() == []


async def test_e7_no_more_is_in_hand_than_the_engine_can_hold(desk: Desk) -> None:
    await desk.put(*(f"user{n}/0" for n in range(MOST + 5)))
    assert len(await desk.take_all()) == MOST


async def test_e7_of_several_engines_the_one_with_most_room_takes_the_ticket(desk: Desk) -> None:
    await desk.put(*of("ana", 3))
    await desk.take_all()
    await desk.engine("two")
    assert await desk.take("two") is None
    await desk.put("ben/0", "ana/9")
    assert await desk.take("one") is None, "it would have room, but the other has more"
    assert await desk.take("two") is not None
    await desk.close("two")
    assert await desk.take("one") is not None, "who takes no more is not waited for"


async def test_e7_a_flood_over_two_engines_fills_both_and_starves_nobody_at_either(desk: Desk) -> None:
    await desk.engine("two")
    await desk.take("one")
    await desk.take("two")
    await desk.put(*of("ana", 50))
    for _ in range(3 * SLOTS):
        for name in ("one", "two"):
            await desk.take(name)
    assert {name: len(hand) for name, hand in desk.hands.items()} == {"one": SLOTS, "two": SLOTS}
    await desk.put("ben/0", "cleo/0")
    found = [await desk.take("one"), await desk.take("two"), await desk.take("one")]
    assert sorted(filter(None, found)) == ["ben-0", "cleo-0"]


async def test_e8_what_a_dead_engine_had_in_hand_waits_again_and_what_a_living_one_has_does_not(desk: Desk) -> None:
    await desk.engine("dead")
    await desk.engine("busy")
    await desk.put(*of("ana", 2))
    assert await desk.take("dead") == "ana-0"
    assert await desk.take("busy") == "ana-1"
    await anyio.sleep(0.06)
    await desk.beat("busy")
    await desk.engine("heir", dead_ms=50)
    assert await desk.take("heir", look=True) == "ana-0"
    assert await desk.take("heir", look=True) is None
    await desk.done("ana-0", "heir")
    await desk.done("ana-1", "busy")
    assert await desk.is_empty()


async def test_j2_a_ticket_that_its_engine_let_go_of_waits_again(desk: Desk) -> None:
    await desk.engine("stale", left_ms=20)
    await desk.put("ana/0", "ben/0")
    assert await desk.take("stale") == "ana-0"
    assert await desk.take("stale") == "ben-0"
    desk.hands["stale"] = {key: each for key, each in desk.hands["stale"].items() if each.ticket.user == "ben"}
    assert await desk.take("stale", look=True) is None
    await anyio.sleep(0.03)
    assert await desk.take("stale", look=True) == "ana-0"


async def test_j1_a_ticket_that_nobody_understands_is_dropped(desk: Desk) -> None:
    await desk.store.client.call("XADD", desk.family.stream("live"), "*", "m", b"\xc1garbage")
    await desk.store.client.call("XADD", desk.family.stream("live"), "*", "other", b"field")
    await desk.put("ana/0")
    found = [await desk.take() for _ in range(3)]
    assert found.count(None) == 2
    assert "ana-0" in found
    await desk.done("ana-0")
    assert await desk.is_empty()


async def test_e7_places_count_as_the_tickets_will_be_taken(desk: Desk) -> None:
    await desk.put(*of("ana", SLOTS + 2))
    await desk.take_all()
    await desk.put("night/0", lane="batch")
    await desk.take()
    await desk.put("ben/0")  # not read by any engine yet
    places = numbers(await jobs.queue_places(desk.store, desk.family))
    assert places == {f"ana-{SLOTS}": 1, "ben-0": 2, f"ana-{SLOTS + 1}": 3, "night-0": 4}


@pytest.mark.parametrize("seed", range(4))
async def test_j2_whatever_dies_every_ticket_is_done_once_and_nothing_is_left(desk: Desk, seed: int) -> None:
    dice = random.Random(seed)
    put, done = 0, set()
    for name in ("two", "three"):
        await desk.engine(name)
    for _ in range(150):
        roll, name = dice.random(), dice.choice(list(desk.hands))
        if roll < 0.35:
            await desk.put(f"{dice.choice(['ana', 'ana', 'ana', 'ben', 'cleo'])}/{put}", lane=dice.choice(LANES))
            put += 1
        elif roll < 0.7:
            await desk.take(name, look=dice.random() < 0.3)
        elif roll < 0.95 and desk.hands[name]:
            job = dice.choice(list(desk.hands[name].values())).ticket.job
            assert job not in done
            done.add(job)
            await desk.done(job, name)
        elif roll > 0.98:  # killed: its name is heard of no more, and a new one comes
            del desk.hands[name]
            await desk.store.client.call("ZREM", desk.family.engine_ages, name)
            await desk.engine(f"{name}+")
    while len(done) < put:
        for name, hand in desk.hands.items():
            await desk.take(name, look=True)
            for job in [each.ticket.job for each in hand.values()]:
                assert job not in done
                done.add(job)
                await desk.done(job, name)
    assert await desk.is_empty()
