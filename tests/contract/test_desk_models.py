"""Several models at one desk: an engine takes what it serves, users stay equal, places and waits are right (E7, J1)."""

from __future__ import annotations

import random

import anyio
import pytest

from nanobana_engine.worker.intake import LANES
from nanobana_server import jobs
from nanobana_server.store import Store
from support.desk import SLOTS, Desk, of
from support.work import numbers

SLASH = "team/50% more"
"""A name that has what the names of queues are parted by."""


@pytest.fixture
async def desk(store: Store) -> Desk:
    return Desk(store)


async def test_j1_an_engine_takes_only_tickets_for_models_that_it_serves_and_those_of_none(desk: Desk) -> None:
    await desk.engine("photo", {"sdxl": True, SLASH: True})
    await desk.engine("toy", {"nano": True})
    await desk.put("ana/0", model="nano")
    await desk.put("ana/1", model=SLASH)
    await desk.put("ana/2", model="sdxl")
    await desk.put("ana/3", model="nobody's")
    assert await desk.take_all("photo") == ["ana-1", "ana-2"]
    assert await desk.take_all("toy") == ["ana-0"]
    await desk.put("ana/4")
    assert await desk.take("toy") == "ana-4", "erasing needs no model"
    await desk.engine("late", {"nobody's": True})
    assert await desk.take("late") == "ana-3"


async def test_e7_users_stay_equal_at_an_engine_whatever_models_they_ask_for(desk: Desk) -> None:
    await desk.engine("one", {"nano": True, "sdxl": True})
    await desk.put("ana/0", "ana/2", "ana/4", model="nano")
    await desk.put("ana/1", "ana/3", "ana/5", model="sdxl")
    await desk.put(*of("ben", 3), model="sdxl")
    order = []
    while (job := await desk.take("one")) is not None:
        order.append(job)
        await desk.done(job, "one")
    assert order == ["ana-0", "ben-0", "ana-1", "ben-1", "ana-2", "ben-2", "ana-3", "ana-4", "ana-5"]
    assert await desk.is_empty()


async def test_e7_who_is_served_by_one_engine_is_not_starved_at_another_that_serves_less(desk: Desk) -> None:
    await desk.engine("toy", {"nano": True})
    await desk.engine("photo", {"sdxl": True})
    await desk.put(*of("ana", 9), model="nano")
    await desk.put("ben/0", "ben/1", "ben/2", "ana/photo", model="sdxl")
    for _ in range(6):
        job = await desk.take("toy")
        assert job is not None
        await desk.done(job, "toy")
    taken = []
    for _ in range(2):
        job = await desk.take("photo")
        assert job is not None
        taken.append(job)
        await desk.done(job, "photo")
    assert taken == ["ben-0", "ana-photo"]


async def test_j1_with_room_at_both_a_ticket_goes_where_its_model_is_in_memory(desk: Desk) -> None:
    await desk.engine("cold", {"nano": True, "sdxl": False})
    await desk.engine("warm", {"nano": True, "sdxl": True})
    assert await desk.take("cold") is None
    await desk.put("cleo/0", model="nano")
    assert await desk.take("warm") == "cleo-0"
    await desk.put(*of("ana", SLOTS), model="sdxl")
    assert await desk.take("cold") is None, "it has more room, and would have to load the model"
    assert await desk.take_all("warm") == [f"ana-{n}" for n in range(SLOTS - 1)]
    assert await desk.take("cold") == f"ana-{SLOTS - 1}", "the other is full"


async def test_e8_what_a_dead_engine_had_waits_for_engines_of_its_model(desk: Desk) -> None:
    await desk.engine("dead", {"sdxl": True})
    await desk.put("ana/0", model="sdxl")
    assert await desk.take("dead") == "ana-0"
    await anyio.sleep(0.06)
    await desk.engine("toy", {"nano": True}, dead_ms=50)
    assert await desk.take("toy", look=True) is None
    await desk.engine("heir", {"sdxl": True}, dead_ms=50)
    assert await desk.take("heir", look=True) == "ana-0"
    await desk.done("ana-0", "heir")
    assert await desk.is_empty()


async def test_j1_places_count_what_shares_an_engine_and_waits_what_its_engines_end(desk: Desk) -> None:
    await desk.engine("toy", {"nano": True})
    await desk.engine("photo", {"sdxl": True, SLASH: True})
    await desk.put("ana/0", "ana/1", model="nano")
    await desk.put("ben/0", model="sdxl")
    await desk.put("cleo/0", model=SLASH)
    await desk.put("dan/0", model="nobody's")
    places = await jobs.queue_places(desk.store, desk.family)
    assert numbers(places) == {"ana-0": 1, "ana-1": 2, "ben-0": 1, "cleo-0": 2, "dan-0": 1}
    assert {place.wait_s for place in places.values()} == {0.0}, "nobody has seen how long edits take"
    await desk.beat("toy", each_s=0.5)
    await desk.beat("photo", each_s=4.0)
    await desk.engine("both", {"nano": True, "sdxl": True})
    await desk.beat("both", each_s=4.0)
    waits = {job: place.wait_s for job, place in (await jobs.queue_places(desk.store, desk.family)).items()}
    assert waits == {"ana-0": 1.0, "ana-1": 2.0, "ben-0": 4.0, "cleo-0": 8.0, "dan-0": 0.0}


@pytest.mark.parametrize("seed", range(3))
async def test_j2_whatever_dies_every_ticket_is_done_once_by_an_engine_of_its_model(desk: Desk, seed: int) -> None:
    dice = random.Random(seed)
    models = ["nano", "sdxl", ""]
    wanted: dict[str, str] = {}
    done: set[str] = set()
    for name, served in (("one", ["nano"]), ("two", ["sdxl"]), ("three", ["nano", "sdxl"])):
        await desk.engine(name, {model: dice.random() < 0.5 for model in served})

    async def finish(name: str, job: str) -> None:
        assert job not in done
        assert not wanted[job] or wanted[job] in desk.models[name]
        done.add(job)
        await desk.done(job, name)

    for _ in range(150):
        roll, name = dice.random(), dice.choice(list(desk.hands))
        if roll < 0.4:
            job = f"{dice.choice(['ana', 'ana', 'ben', 'cleo'])}/{len(wanted)}"
            wanted[job.replace("/", "-")] = model = dice.choice(models)
            await desk.put(job, lane=dice.choice(LANES), model=model)
        elif roll < 0.7:
            await desk.take(name, look=dice.random() < 0.3)
        elif roll < 0.95 and desk.hands[name]:
            await finish(name, dice.choice(list(desk.hands[name].values())).ticket.job)
        elif roll > 0.98:
            del desk.hands[name]
            await desk.store.client.call("ZREM", desk.family.engine_ages, name)
            await desk.engine(f"{name}+", desk.models[name])
    while len(done) < len(wanted):
        for name, hand in desk.hands.items():
            await desk.take(name, look=True)
            for job in [each.ticket.job for each in hand.values()]:
                await finish(name, job)
    assert await desk.is_empty()
