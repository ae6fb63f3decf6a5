"""The life of a job in the store up to its result: outbox, fence, lanes, limits (J1, J2, E7)."""

import anyio
import msgspec
import pytest

from nanobana.keyspace import claims
from nanobana.keyspace.blobs import CHUNK
from nanobana.keyspace.keys import CanvasKeys, FamilyKeys, canvas_index, shard_of
from nanobana.protocol.errors import BadInput, NotFound, TooMany
from nanobana.protocol.geometry import Box
from nanobana.protocol.jobs import EngineBeat, JobTicket
from nanobana.protocol.messages import Edit
from nanobana.protocol.parameters import EditParams
from nanobana_engine.worker.intake import Intake
from nanobana_server import jobs
from nanobana_server.jobs import sweeper, upkeep
from nanobana_server.jobs.results import stage
from nanobana_server.store import Store
from nanobana_server.store.types import LayerGone
from support.strokes import Easel, author, mask_png
from support.work import (
    BOX,
    LEASE_MS,
    numbers,
    queued,
    result_of,
    states,
    taken,
    tickets,
)

pytestmark = pytest.mark.usefixtures("queue_is_empty")


async def test_j1_an_edit_is_durable_before_its_ticket_which_carries_ids_only(store: Store, easel: Easel) -> None:
    job = await queued(easel)
    assert await states(easel) == [(job, "queued")]
    assert await tickets(store) == [JobTicket(canvas=easel.id, job=job, user="ana")]
    outbox = await store.client.call("HGETALL", CanvasKeys(easel.id).open_jobs)
    assert outbox[job.encode()] != b""
    claim = await taken(easel, job)
    assert claim.spec.edit.mask_blob is not None
    assert claim.spec.edit.mask_png is None
    assert claim.spec.edit.seed is not None
    assert [shown.state for shown in (await easel.manifest()).jobs] == ["queued"]


async def test_j1_a_repeated_edit_is_queued_once(store: Store, easel: Easel) -> None:
    message = easel.edit("ana", BOX)
    first = await jobs.submit(store, easel.id, author(), message)
    again = await jobs.submit(store, easel.id, author(), message)
    assert again.seq == first.seq
    assert len(await tickets(store)) == 1


async def test_j2_only_the_current_attempt_may_hand_in(easel: Easel) -> None:
    job = await queued(easel)
    first = await taken(easel, job, "w1", lease_ms=1)
    await anyio.sleep(0.01)
    second = await taken(easel, job, "w2")
    assert (first.attempt, second.attempt) == (1, 2)
    assert await claims.heartbeat(easel.store.client, easel.id, job, 1, LEASE_MS) == "stale"
    assert await claims.heartbeat(easel.store.client, easel.id, job, 2, LEASE_MS) == "go"
    assert await stage(easel.store, await result_of(easel, job, 1)) is None
    assert await stage(easel.store, await result_of(easel, job, 2)) is not None
    assert await states(easel) == [(job, "queued"), (job, "staged")]


async def test_j2_a_result_is_stored_and_its_lease_extended_in_one_trip_which_says_how_to_go_on(easel: Easel) -> None:
    client, job = easel.store.client, await queued(easel)
    attempt = (await taken(easel, job, lease_ms=50)).attempt
    names, order = await claims.put_result(client, easel.id, job, attempt, [b"patch"], 60_000)
    assert order == "go" and await easel.store.get_blob(easel.id, names[0]) == b"patch"
    held = await claims.claim(client, easel.id, job, "w2", 60_000)
    assert isinstance(held, claims.Leased) and held.left_ms > 50
    assert (await claims.put_result(client, easel.id, job, attempt + 1, [b"other"], 60_000))[1] == "stale"
    large = bytes(CHUNK + 1)
    names, order = await claims.put_result(client, easel.id, job, attempt, [large], 60_000)
    assert order == "go" and await easel.store.get_blob(easel.id, names[0]) == large


async def test_j2_a_leased_job_is_not_given_to_another_worker(easel: Easel) -> None:
    job = await queued(easel)
    await taken(easel, job)
    claim = await claims.claim(easel.store.client, easel.id, job, "w2", LEASE_MS)
    assert isinstance(claim, claims.Leased)
    assert 0 < claim.left_ms <= LEASE_MS
    assert await claims.heartbeat(easel.store.client, easel.id, job, 1, 0) == "go"
    assert (await taken(easel, job, "w2")).attempt == 2


async def test_e7_a_newer_edit_on_the_same_region_supersedes_the_older_one(store: Store, easel: Easel) -> None:
    elsewhere = await queued(easel, "ana", Box(600, 600, 700, 700))
    bens = await queued(easel, "ben")
    first = await queued(easel, "ana")
    claim = await taken(easel, first)
    second = await queued(easel, "ana", BOX.shift(20, 20))
    assert await claims.heartbeat(store.client, easel.id, first, claim.attempt, LEASE_MS) == "superseded"
    assert await stage(store, await result_of(easel, first, claim.attempt)) is None
    assert (await states(easel))[-2:] == [(first, "superseded"), (second, "queued")]
    assert {job.id for job in (await easel.manifest()).jobs} == {elsewhere, bens, second}


async def test_j1_the_sweeper_sends_what_was_never_sent(store: Store, easel: Easel) -> None:
    job = await queued(easel)
    await store.client.call("DEL", FamilyKeys().stream("live"))
    keys = CanvasKeys(easel.id)
    await store.client.call("HSET", keys.open_jobs, job, "")
    await store.client.call("HSET", keys.job(job), "updated_ms", 1)
    await sweeper.sweep_canvas(store, easel.id)
    await sweeper.sweep_canvas(store, easel.id)
    assert [ticket.job for ticket in await tickets(store)] == [job]


async def test_j1_the_sweeper_sends_again_what_was_lost_but_nothing_that_is_leased(store: Store, easel: Easel) -> None:
    lost, leased, waiting = [await queued(easel, "ana", Box(x, 0, x + 50, 50)) for x in (0, 200, 400)]
    await taken(easel, leased)
    stream = FamilyKeys().stream("live")
    keys = CanvasKeys(easel.id)
    outbox = await store.client.call("HGETALL", keys.open_jobs)
    for job in (lost, leased):
        await store.client.call("XDEL", stream, outbox[job.encode()])
    for job in (lost, leased, waiting):
        await store.client.call("HSET", keys.job(job), "updated_ms", 1)
    await sweeper.sweep_canvas(store, easel.id)
    assert [ticket.job for ticket in await tickets(store)] == [waiting, lost]
    hours_ahead = await store.now_ms() + 5 * 3_600_000
    await store.client.call("HSET", keys.job(leased), "lease_until", hours_ahead)  # before the clock jumped back
    await sweeper.sweep_canvas(store, easel.id)
    assert [ticket.job for ticket in await tickets(store)] == [waiting, lost, leased]


async def test_j1_batch_edits_have_a_stream_of_their_own_and_wait_behind_live_ones(store: Store, easel: Easel) -> None:
    params = EditParams(box=BOX, mask_png=mask_png(BOX), lane="batch")
    message = Edit(op=easel.op("ben"), edit=params)
    await jobs.submit(store, easel.id, author("ben"), message)
    patient = f"{message.op.client}-{message.op.n}"
    live = await queued(easel)
    assert [ticket.job for ticket in await tickets(store, "batch")] == [patient]
    assert [ticket.job for ticket in await tickets(store, "live")] == [live]
    assert numbers(await jobs.queue_places(store)) == {live: 1, patient: 2}


async def test_j1_the_index_of_outboxes_is_repaired_by_upkeep(store: Store, easel: Easel) -> None:
    await queued(easel)
    index = canvas_index(shard_of(easel.id))
    await store.client.call("SREM", index, easel.id)
    await upkeep.look_after(store, easel.id)
    assert await store.client.call("SISMEMBER", index, easel.id)


async def test_j1_places_count_the_tickets_that_nobody_took(store: Store, easel: Easel) -> None:
    ids = [await queued(easel, "ana", Box(x, 0, x + 50, 50)) for x in (0, 100, 200)]
    assert numbers(await jobs.queue_places(store)) == {ids[0]: 1, ids[1]: 2, ids[2]: 3}
    intake = Intake(store.client, FamilyKeys(), "w1", dict, slots=1, most=1, dead_ms=LEASE_MS, left_ms=LEASE_MS)
    assert await intake.take([]) is not None
    assert numbers(await jobs.queue_places(store)) == {ids[1]: 1, ids[2]: 2}


async def test_bad_edits_are_refused_each_with_its_code(store: Store, easel: Easel) -> None:
    small = Box(0, 0, 10, 10)
    wrong = [
        (EditParams(box=small), "bad_mask"),
        (EditParams(box=BOX, mask_png=mask_png(small)), "bad_mask"),
        (EditParams(box=small, mask_png=mask_png(small, 7)), "empty_mask"),
        (EditParams(box=small.shift(5000, 0), mask_png=mask_png(small)), "outside"),
        (EditParams(box=small, mask_png=b"x"), "image_format"),
    ]
    for params, code in wrong:
        with pytest.raises(BadInput) as refusal:
            await jobs.submit(store, easel.id, author(), Edit(op=easel.op(), edit=params))
        assert refusal.value.code == code
    with pytest.raises(NotFound):
        await jobs.submit(
            store, easel.id, author(), Edit(op=easel.op(), edit=EditParams(box=small, mask_blob="0" * 32))
        )
    with pytest.raises(LayerGone):
        await queued(easel, layer="nobody")
    assert await tickets(store) == []


async def test_a_mask_that_reaches_over_the_canvas_is_cut_to_it(easel: Easel) -> None:
    job = await queued(easel, box=Box(-30, 700, 70, 800))
    claim = await taken(easel, job)
    assert claim.spec.edit.box == Box(0, 700, 70, 768)


async def test_one_user_may_have_twenty_edits_open(easel: Easel) -> None:
    for n in range(20):
        await queued(easel, box=Box(n * 50, 0, n * 50 + 20, 20))
    with pytest.raises(TooMany):
        await queued(easel, box=Box(0, 400, 20, 420))
    await queued(easel, "ben", box=Box(0, 400, 20, 420))


async def test_j4_engines_that_fall_silent_are_not_counted(store: Store) -> None:
    family = FamilyKeys("test-engines")
    one = EngineBeat(worker="w1", model="nano", device="cpu", running=0, pid=1, host="h")
    await claims.beat(store.client, family, one)
    await claims.beat(store.client, family, msgspec.structs.replace(one, worker="w2"))
    assert {beat.worker for beat in await claims.engines(store.client, family)} == {"w1", "w2"}
    await claims.leave(store.client, family, "w1")
    await anyio.sleep(0.005)
    assert [beat.worker for beat in await claims.engines(store.client, family)] == ["w2"]
    assert await claims.engines(store.client, family, within_ms=1) == []
