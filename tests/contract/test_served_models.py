"""Which models are served: what the page offers, where edits go, what is refused or no longer waited for (J1, R10)."""

from __future__ import annotations

from collections.abc import AsyncIterator

import msgspec
import pytest

from nanobana.keyspace import claims
from nanobana.keyspace.keys import CanvasKeys, FamilyKeys
from nanobana.protocol.errors import BadInput
from nanobana.protocol.jobs import EngineBeat
from nanobana.protocol.messages import Edit
from nanobana.protocol.parameters import EditParams, ModelFacts
from nanobana_server import jobs
from nanobana_server.jobs import sweeper
from nanobana_server.jobs.results import stage
from nanobana_server.store import Store
from support.desk import engine
from support.strokes import Easel, author, mask_png
from support.work import BOX, result_of, states, taken, tickets

pytestmark = pytest.mark.usefixtures("queue_is_empty")

NANO, SDXL = ModelFacts(name="nano"), ModelFacts(name="sdxl")


class Engines:
    """Those that live on the store's own family."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.here: set[str] = set()

    async def come(self, *beats: EngineBeat) -> None:
        for beat in beats:
            self.here.add(beat.worker)
            await claims.beat(self.store.client, FamilyKeys(), beat)

    async def leave(self, worker: str) -> None:
        self.here.discard(worker)
        await claims.leave(self.store.client, FamilyKeys(), worker)


@pytest.fixture
async def engines(store: Store) -> AsyncIterator[Engines]:
    found = Engines(store)
    yield found
    for worker in sorted(found.here):
        await found.leave(worker)


async def _submitted(easel: Easel, x: int = 0, **parameters: object) -> str:
    box = BOX.shift(x, 0)
    edit = EditParams(box=box, mask_png=mask_png(box), **parameters)  # type: ignore[arg-type]
    message = Edit(op=easel.op("ana"), edit=edit)
    await jobs.submit(easel.store, easel.id, author("ana"), message)
    return f"{message.op.client}-{message.op.n}"


async def test_r10_an_edit_for_a_model_that_nobody_serves_is_refused_with_those_that_are_served(
    engines: Engines, easel: Easel
) -> None:
    await engines.come(engine("w1", NANO), engine("w2", SDXL), engine("w3", loading="loading flux"))
    with pytest.raises(BadInput) as refused:
        await _submitted(easel, model="flux")
    assert refused.value.code == "model_away"
    assert "'flux'" in refused.value.message
    assert "nano, sdxl" in refused.value.message
    assert "loading flux" in refused.value.message
    assert await tickets(easel.store) == []


async def test_j1_an_edit_goes_to_the_model_that_it_names_or_to_the_default_and_says_so(
    engines: Engines, easel: Easel
) -> None:
    await engines.come(engine("w1", NANO), engine("w2", NANO, SDXL))
    named, usual = await _submitted(easel, model="sdxl"), await _submitted(easel)
    erased = await _submitted(easel, mode="erase")
    assert [(each.job, each.model) for each in await tickets(easel.store)] == [
        (named, "sdxl"),
        (usual, "nano"),
        (erased, ""),
    ]
    assert {job.id: job.model for job in (await easel.manifest()).jobs}[erased] == ""
    assert next(each.job.model for each in await easel.log() if each.job and each.job.id == named) == "sdxl"


async def test_while_there_is_no_engine_an_edit_waits_and_the_engine_says_which_model_made_it(easel: Easel) -> None:
    any_, named = await _submitted(easel), await _submitted(easel, x=200, model="sdxl")
    assert [each.model for each in await tickets(easel.store)] == ["", "sdxl"]
    claim = await taken(easel, any_)
    result = msgspec.structs.replace(await result_of(easel, any_, claim.attempt), model="nano")
    assert await stage(easel.store, result) is not None
    shown = {job.id: (job.state, job.model) for job in (await easel.manifest()).jobs}
    assert shown == {any_: ("staged", "nano"), named: ("queued", "sdxl")}


async def test_j5_a_model_that_went_away_is_waited_for_a_while_and_then_its_edits_fail_with_a_reason(
    engines: Engines, easel: Easel
) -> None:
    store, now = easel.store, [0.0]
    unserved = sweeper.Unserved(lambda: now[0])

    async def sweep_after(seconds: float) -> list[str]:
        now[0] += seconds
        unserved.see(await jobs.look(store))
        await sweeper.sweep_canvas(store, easel.id, unserved)
        return [state for job, state in await states(easel) if job == edit]

    await engines.come(engine("w1", NANO), engine("w2", SDXL))
    edit = await _submitted(easel, model="sdxl")
    assert await sweep_after(500.0) == ["queued"], "it is served, however long the queue is"
    await engines.leave("w2")
    assert await sweep_after(1.0) == ["queued"]
    assert await sweep_after(sweeper.UNSERVED_S - 1.0) == ["queued"]
    await engines.come(engine("w2", loading="loading sdxl"))
    assert await sweep_after(500.0) == ["queued"], "somebody comes, and it may be the one"
    await engines.leave("w2")
    assert await sweep_after(1.0) == ["queued"], "counted anew"
    assert await sweep_after(sweeper.UNSERVED_S) == ["queued", "failed"]
    failed = [change.job for change in await easel.log() if change.job is not None][-1]
    assert (failed.error_code, "nano" in failed.error) == ("model_away", True)
    assert await tickets(store) == []
    assert await store.client.call("HLEN", CanvasKeys(easel.id).open_jobs) == 0


async def test_j5_withdrawn_tickets_leave_nothing_at_the_desk(engines: Engines, easel: Easel) -> None:
    store, family, now = easel.store, FamilyKeys(), [0.0]
    await engines.come(engine("w1", NANO), engine("w2", ModelFacts(name="a/b")))
    edit = await _submitted(easel, model="a/b", front=True)
    desk = [family.stream("live"), family.stream("batch"), family.waiting, family.turns, family.desk]
    words: list[str | int] = ["engines", "w1", 4, 8, 5000, 5000, "", 1, "nano", 1]
    await store.client.run("take", [*desk, family.engine_ages], words)
    assert await store.client.call("ZCARD", family.waiting) == 1
    await engines.leave("w2")
    unserved = sweeper.Unserved(lambda: now[0])
    for _ in range(2):
        unserved.see(await jobs.look(store))
        await sweeper.sweep_canvas(store, easel.id, unserved)
        now[0] += sweeper.UNSERVED_S
    assert (await states(easel))[-1] == (edit, "failed")
    assert await store.client.call("ZCARD", family.waiting) == 0
    assert await tickets(store) == []
