"""Accepting, discarding, cancelling and undoing edits; the first decision wins (J5, E5, C9)."""

import anyio
import numpy as np
import pytest

from nanobana.keyspace import claims
from nanobana.keyspace.keys import CanvasKeys
from nanobana.protocol.canvas import Variation
from nanobana.protocol.errors import BadInput, Conflict, NotAllowed, NotFound
from nanobana.protocol.geometry import Box
from nanobana.protocol.jobs import JobResult
from nanobana.protocol.messages import Cancel, Decide, LayerAdd, LayerDelete, LayerSet
from nanobana.raster.codec import encode_webp
from nanobana_server import jobs
from nanobana_server.jobs import sweeper
from nanobana_server.jobs.results import stage
from nanobana_server.store import Store, ops
from nanobana_server.store.types import LayerGone, LayerLocked, WrongState
from support.late import Late
from support.strokes import BLUE, GREEN, RED, Easel, author
from support.work import (
    LEASE_MS,
    queued,
    result_of,
    staged,
    states,
    taken,
)

pytestmark = pytest.mark.usefixtures("queue_is_empty")


async def test_e7_a_staged_result_is_not_superseded(easel: Easel) -> None:
    first = await staged(easel)
    await queued(easel)
    assert (first, "superseded") not in await states(easel)


async def test_j5_accepting_lays_the_patch_on_the_only_visible_layer_and_is_undone_as_one(
    store: Store, easel: Easel
) -> None:
    await easel.paint("ben", Box(0, 0, 300, 300), RED)
    before = await easel.look()
    job = await staged(easel)
    await jobs.decide(store, easel.id, author(), Decide(op=easel.op(), job=job, accept=True))
    assert await easel.pixel(50, 50) == GREEN
    assert await easel.pixel(39, 39) == RED
    assert (await states(easel))[-1] == (job, "accepted")
    assert len((await easel.manifest()).layers) == 1
    accepted = await easel.look()
    await easel.undo("ana")
    assert await easel.look() == before
    await easel.redo("ana")
    assert await easel.look() == accepted


async def test_c1_a_result_is_not_laid_on_a_layer_that_was_locked_in_that_very_moment(
    store: Store, easel: Easel
) -> None:
    await easel.paint("ben", Box(0, 0, 300, 300), RED)
    before = await easel.names()
    job = await staged(easel)
    lock = LayerSet(op=easel.op("ben"), layer="base", locked=True)
    late = Late(store, lambda: ops.layer_op(store, easel.id, "ben", lock))
    await jobs.decide(late, easel.id, author(), Decide(op=easel.op(), job=job, accept=True))
    assert {key: name for key, name in (await easel.names()).items() if key[0] == "base"} == before
    assert len((await easel.manifest()).layers) == 2
    assert await easel.pixel(50, 50) == GREEN


async def test_e5_with_other_layers_in_sight_the_result_becomes_a_layer_on_top(store: Store, easel: Easel) -> None:
    await ops.layer_op(store, easel.id, "ben", LayerAdd(op=easel.op("ben"), layer="ink", name="Ink"))
    before = await easel.look()
    job = await staged(easel, layer="base")
    await jobs.decide(store, easel.id, author(), Decide(op=easel.op(), job=job, accept=True))
    layers = (await easel.manifest()).layers
    assert [layer.name for layer in layers] == ["Base", "Ink", "a pear"]
    assert {key[0] for key in await easel.names()} == {layers[2].id}
    await easel.undo("ana")
    assert await easel.look() == before


async def accepted(easel: Easel, job: str, *, new_layer: bool = False) -> None:
    message = Decide(op=easel.op(), job=job, accept=True, new_layer=new_layer)
    await jobs.decide(easel.store, easel.id, author(), message)


async def test_e5_a_result_goes_onto_the_layer_that_was_chosen_for_it(store: Store, easel: Easel) -> None:
    await easel.paint("ben", Box(0, 0, 300, 300), RED)
    await ops.layer_op(store, easel.id, "ben", LayerAdd(op=easel.op("ben"), layer="ink", name="Ink"))
    before = await easel.look()
    await accepted(easel, await staged(easel, layer="base", onto="layer"))
    assert [layer.id for layer in (await easel.manifest()).layers] == ["base", "ink"]
    assert {key[0] for key in await easel.names()} == {"base"} and await easel.pixel(50, 50) == GREEN
    await easel.undo("ana")
    assert await easel.look() == before


async def test_c9_a_new_layer_and_the_result_on_it_come_and_go_in_one_step(store: Store, easel: Easel) -> None:
    await easel.paint("ben", Box(0, 0, 300, 300), RED)
    before = await easel.look()
    await accepted(easel, await staged(easel, layer="base", onto="new"))
    with_it = await easel.look()
    assert [layer.name for layer in (await easel.manifest()).layers] == ["Base", "a pear"]
    await easel.undo("ana")
    assert await easel.look() == before
    await easel.redo("ana")
    assert await easel.look() == with_it


async def test_c1_a_result_does_not_go_onto_a_chosen_layer_that_was_locked_meanwhile(
    store: Store, easel: Easel
) -> None:
    job = await staged(easel, layer="base", onto="layer")
    await ops.layer_op(store, easel.id, "ben", LayerSet(op=easel.op("ben"), layer="base", locked=True))
    with pytest.raises(LayerLocked):
        await accepted(easel, job)
    with pytest.raises(LayerLocked):
        await queued(easel, layer="base", onto="layer")
    await accepted(easel, job, new_layer=True)
    assert [layer.name for layer in (await easel.manifest()).layers] == ["Base", "a pear"]


async def test_r10_onto_a_layer_without_saying_which_is_refused(easel: Easel) -> None:
    with pytest.raises(BadInput) as refused:
        await queued(easel, onto="layer")
    assert refused.value.code == "no_layer"


async def test_j5_the_first_decision_wins(store: Store, easel: Easel) -> None:
    job = await staged(easel)
    outcomes: list[str] = []

    async def decide(user: str, accept: bool) -> None:
        try:
            message = Decide(op=easel.op(user), job=job, accept=accept)
            await jobs.decide(store, easel.id, author(user, is_owner=True), message)
            outcomes.append("done")
        except WrongState as error:
            outcomes.append(error.code)

    async with anyio.create_task_group() as group:
        for n in range(6):
            group.start_soon(decide, f"u{n}", n % 2 == 0)
    assert sorted(outcomes) == ["already_decided"] * 5 + ["done"]
    assert len([state for _job, state in await states(easel) if state in ("accepted", "discarded")]) == 1


async def test_r7_only_the_author_or_an_owner_decides(store: Store, easel: Easel) -> None:
    job = await staged(easel)
    for call, message in ((jobs.decide, Decide(op=easel.op("ben"), job=job, accept=True)),):
        with pytest.raises(NotAllowed):
            await call(store, easel.id, author("ben"), message)
    with pytest.raises(NotAllowed):
        await jobs.cancel(store, easel.id, author("ben"), Cancel(op=easel.op("ben"), job=job))
    await jobs.decide(store, easel.id, author("ben", is_owner=True), Decide(op=easel.op("ben"), job=job, accept=False))
    assert (await states(easel))[-1] == (job, "discarded")


async def test_j5_if_the_layer_is_gone_accepting_offers_a_new_one(store: Store, easel: Easel) -> None:
    job = await staged(easel, layer="base")
    await ops.layer_op(store, easel.id, "ben", LayerDelete(op=easel.op("ben"), layer="base"))
    with pytest.raises(LayerGone) as refusal:
        await jobs.decide(store, easel.id, author(), Decide(op=easel.op(), job=job, accept=True))
    assert refusal.value.code == "layer_gone"
    await jobs.decide(store, easel.id, author(), Decide(op=easel.op(), job=job, accept=True, new_layer=True))
    assert await easel.pixel(50, 50) == GREEN


async def test_c5_accepting_survives_a_stroke_in_the_same_tile(store: Store, easel: Easel) -> None:
    job = await staged(easel)
    async with anyio.create_task_group() as group:
        group.start_soon(jobs.decide, store, easel.id, author(), Decide(op=easel.op(), job=job, accept=True))
        for n in range(5):
            group.start_soon(easel.paint, "ben", Box(n * 8, 0, n * 8 + 8, 30), BLUE)
    assert await easel.pixel(100, 100) == GREEN
    assert [await easel.pixel(n * 8 + 4, 4) for n in range(5)] == [BLUE] * 5


async def test_e8_cancel_ends_a_job_and_its_worker_learns_it(store: Store, easel: Easel) -> None:
    job = await queued(easel)
    claim = await taken(easel, job)
    await jobs.cancel(store, easel.id, author(), Cancel(op=easel.op(), job=job))
    assert await claims.heartbeat(store.client, easel.id, job, claim.attempt, LEASE_MS) == "cancelled"
    assert await stage(store, await result_of(easel, job, claim.attempt)) is None
    assert isinstance(await claims.claim(store.client, easel.id, job, "w2", LEASE_MS), claims.Done)
    with pytest.raises(WrongState):
        await jobs.cancel(store, easel.id, author(), Cancel(op=easel.op(), job=job))


async def test_c9_undo_of_a_queued_edit_cancels_it_and_of_a_staged_one_discards_it(easel: Easel) -> None:
    await easel.paint("ana", Box(0, 0, 10, 10))
    first = await staged(easel)
    second = await queued(easel, box=Box(500, 500, 600, 600))
    await easel.undo("ana")
    await easel.undo("ana")
    assert (await states(easel))[-2:] == [(second, "cancelled"), (first, "discarded")]
    assert await easel.pixel(5, 5) == RED
    await easel.undo("ana")
    assert (await easel.pixel(5, 5))[3] == 0


async def test_c9_a_decided_edit_is_no_step_of_undo(store: Store, easel: Easel) -> None:
    await easel.paint("ana", Box(0, 0, 10, 10))
    job = await staged(easel)
    await jobs.decide(store, easel.id, author(), Decide(op=easel.op(), job=job, accept=False))
    await easel.undo("ana")
    assert (await easel.pixel(5, 5))[3] == 0


async def test_j5_an_undecided_result_expires_after_a_day(store: Store, easel: Easel) -> None:
    job = await staged(easel)
    await store.client.call("HSET", CanvasKeys(easel.id).job(job), "updated_ms", 1)
    await sweeper.sweep_canvas(store, easel.id)
    last = (await easel.log())[-1].job
    assert last is not None
    assert (last.state, last.error_code) == ("discarded", "expired")


async def test_deciding_what_is_not_there_or_not_ready_is_refused(store: Store, easel: Easel) -> None:
    with pytest.raises(NotFound):
        await jobs.decide(store, easel.id, author(), Decide(op=easel.op(), job="nobody-1", accept=True))
    job = await queued(easel)
    with pytest.raises(Conflict) as refusal:
        await jobs.decide(store, easel.id, author(), Decide(op=easel.op(), job=job, accept=True))
    assert refusal.value.code == "not_staged"
    ready = await staged(easel, box=Box(500, 0, 550, 50))
    with pytest.raises(BadInput):
        await jobs.decide(store, easel.id, author(), Decide(op=easel.op(), job=ready, accept=True, variation=2))


async def test_c5_a_large_result_is_laid_in_parts_and_undone_as_one(store: Store) -> None:
    easel = await Easel.new(store, width=2560, height=512)
    before = await easel.look()
    box = Box(0, 0, 2560, 300)
    noise = np.full((300, 2560, 4), 255, np.uint8)
    job = await queued(easel, box=Box(0, 0, 100, 100))
    claim = await taken(easel, job)
    blob = (await store.put_blobs(easel.id, [encode_webp(noise)]))[0]
    result = JobResult(
        canvas=easel.id, job=job, attempt=claim.attempt, worker="w", box=box, variations=[Variation(blob=blob, seed=1)]
    )
    await stage(store, result)
    await jobs.decide(store, easel.id, author(), Decide(op=easel.op(), job=job, accept=True, new_layer=True))
    assert len(await easel.names()) == 20
    await easel.undo()
    assert await easel.look() == before
