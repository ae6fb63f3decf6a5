"""The life of a job in the store: outbox, fence, staging, decisions; one effect whatever is repeated (J1–J5)."""

import anyio
import msgspec
import numpy as np
import pytest

from nanobana.keyspace import claims
from nanobana.keyspace.blobs import put_blobs
from nanobana.keyspace.keys import RESULTS, CanvasKeys, FamilyKeys, canvas_index, shard_of
from nanobana.protocol.canvas import Variation
from nanobana.protocol.errors import BadInput, Conflict, NotAllowed, NotFound, TooMany
from nanobana.protocol.geometry import Box
from nanobana.protocol.jobs import EngineBeat, JobResult, JobTicket
from nanobana.protocol.messages import Cancel, Decide, Edit, LayerAdd, LayerDelete
from nanobana.protocol.parameters import EditParams
from nanobana.raster.codec import encode_webp
from nanobana_engine.worker.intake import Intake
from nanobana_server import jobs
from nanobana_server.jobs import sweeper
from nanobana_server.jobs.results import stage
from nanobana_server.store import Store, ops
from nanobana_server.store.types import LayerGone, WrongState
from support.strokes import BLUE, GREEN, RED, Colour, Easel, author, flat, mask_png

BOX = Box(40, 40, 140, 120)
LEASE_MS = 10_000


@pytest.fixture
async def queue_is_empty(store: Store) -> None:
    """The streams belong to no canvas: each test starts and leaves with empty ones."""
    family = FamilyKeys()
    for key in (RESULTS, family.stream("live"), family.stream("batch"), family.waiting, family.turns, family.desk):
        await store.client.call("DEL", key)


pytestmark = pytest.mark.usefixtures("queue_is_empty")


async def queued(easel: Easel, user: str = "ana", box: Box = BOX, layer: str | None = None) -> str:
    message = easel.edit(user, box, layer=layer)
    await jobs.submit(easel.store, easel.id, author(user), message)
    return f"{message.op.client}-{message.op.n}"


async def taken(easel: Easel, job: str, worker: str = "w1", lease_ms: int = LEASE_MS) -> claims.Claim:
    claim = await claims.claim(easel.store.client, easel.id, job, worker, lease_ms)
    assert isinstance(claim, claims.Claim)
    return claim


async def result_of(easel: Easel, job: str, attempt: int, box: Box = BOX, colour: Colour = GREEN) -> JobResult:
    blob = (await put_blobs(easel.store.client, easel.id, [encode_webp(flat(box, colour))]))[0]
    variations = [Variation(blob=blob, seed=1)]
    return JobResult(canvas=easel.id, job=job, attempt=attempt, worker="w1", box=box, variations=variations)


async def staged(easel: Easel, user: str = "ana", box: Box = BOX, layer: str | None = None) -> str:
    job = await queued(easel, user, box, layer)
    claim = await taken(easel, job)
    assert await stage(easel.store, await result_of(easel, job, claim.attempt, box)) is not None
    return job


async def all_acknowledged(store: Store) -> None:
    with anyio.fail_after(5):
        while await store.client.call("XLEN", RESULTS):  # noqa: ASYNC110 - the stream rings no bell
            await anyio.sleep(0.01)


async def states(easel: Easel) -> list[tuple[str, str]]:
    return [(change.job.id, change.job.state) for change in await easel.log() if change.job is not None]


async def tickets(store: Store, lane: str = "live") -> list[JobTicket]:
    entries = await store.client.call("XRANGE", FamilyKeys().stream(lane), "-", "+")
    return [msgspec.msgpack.decode(fields[b"m"], type=JobTicket) for _entry, fields in entries]


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


async def test_j2_a_leased_job_is_not_given_to_another_worker(easel: Easel) -> None:
    job = await queued(easel)
    await taken(easel, job)
    claim = await claims.claim(easel.store.client, easel.id, job, "w2", LEASE_MS)
    assert isinstance(claim, claims.Leased)
    assert 0 < claim.left_ms <= LEASE_MS
    assert await claims.heartbeat(easel.store.client, easel.id, job, 1, 0) == "go"
    assert (await taken(easel, job, "w2")).attempt == 2


async def test_j2_a_result_handed_in_twice_has_one_effect(easel: Easel) -> None:
    job = await queued(easel)
    result = await result_of(easel, job, (await taken(easel, job)).attempt)
    outcomes: list[object] = []

    async def hand_in() -> None:
        outcomes.append(await stage(easel.store, result))

    async with anyio.create_task_group() as group:
        for _ in range(5):
            group.start_soon(hand_in)
    assert sum(outcome is not None for outcome in outcomes) == 1
    assert [state for _job, state in await states(easel)] == ["queued", "staged"]


async def test_j3_any_server_takes_the_result_and_acknowledges_it(store: Store, easel: Easel) -> None:
    job = await queued(easel)
    result = await result_of(easel, job, (await taken(easel, job)).attempt)
    await claims.hand_in(store.client, result)
    await claims.hand_in(store.client, result)
    async with anyio.create_task_group() as group:
        group.start_soon(jobs.run_results, store, "server-b")
        await all_acknowledged(store)
        group.cancel_scope.cancel()
    assert await states(easel) == [(job, "queued"), (job, "staged")]


async def test_j3_what_a_dead_server_took_is_taken_over_after_its_restart(store: Store, easel: Easel) -> None:
    job = await queued(easel)
    result = await result_of(easel, job, (await taken(easel, job)).attempt)
    await claims.hand_in(store.client, result)
    await store.client.call("XGROUP", "CREATE", RESULTS, "servers", "0", "MKSTREAM")
    await store.client.call("XREADGROUP", "GROUP", "servers", "server-a", "STREAMS", RESULTS, ">")
    async with anyio.create_task_group() as group:
        group.start_soon(jobs.run_results, store, "server-a")
        await all_acknowledged(store)
        group.cancel_scope.cancel()
    assert (await states(easel))[-1] == (job, "staged")


async def test_j3_two_servers_share_the_results_and_stage_each_once(store: Store, easel: Easel) -> None:
    ids = [await queued(easel, f"u{n}", Box(n * 60, 0, n * 60 + 50, 50)) for n in range(12)]
    for n, job in enumerate(ids):
        result = await result_of(easel, job, (await taken(easel, job)).attempt, Box(n * 60, 0, n * 60 + 50, 50))
        await claims.hand_in(store.client, result)
        await claims.hand_in(store.client, result)
    async with anyio.create_task_group() as group:
        for server in ("server-a", "server-b"):
            group.start_soon(jobs.run_results, store, server)
        await all_acknowledged(store)
        group.cancel_scope.cancel()
    assert sorted(job for job, state in await states(easel) if state == "staged") == sorted(ids)


async def test_a_failed_job_is_a_change_with_a_sentence(easel: Easel) -> None:
    job = await queued(easel)
    claim = await taken(easel, job)
    failed = JobResult(canvas=easel.id, job=job, attempt=claim.attempt, worker="w", error_code="oom", error="Too big.")
    await stage(easel.store, failed)
    last = (await easel.log())[-1].job
    assert last is not None
    assert (last.state, last.error_code, last.error) == ("failed", "oom", "Too big.")
    assert (await easel.manifest()).jobs == []


async def test_a_result_whose_pixels_are_missing_fails_readably(easel: Easel) -> None:
    job = await queued(easel)
    claim = await taken(easel, job)
    lost = [Variation(blob="0" * 32, seed=1)]
    await stage(
        easel.store, JobResult(canvas=easel.id, job=job, attempt=claim.attempt, worker="w", box=BOX, variations=lost)
    )
    last = (await easel.log())[-1].job
    assert last is not None
    assert (last.state, last.error_code) == ("failed", "result_lost")


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


async def test_j1_batch_edits_have_a_stream_of_their_own_and_wait_behind_live_ones(store: Store, easel: Easel) -> None:
    params = EditParams(box=BOX, mask_png=mask_png(BOX), lane="batch")
    message = Edit(op=easel.op("ben"), edit=params)
    await jobs.submit(store, easel.id, author("ben"), message)
    patient = f"{message.op.client}-{message.op.n}"
    live = await queued(easel)
    assert [ticket.job for ticket in await tickets(store, "batch")] == [patient]
    assert [ticket.job for ticket in await tickets(store, "live")] == [live]
    assert await jobs.queue_places(store) == {live: 1, patient: 2}


async def test_j1_the_index_of_outboxes_is_repaired_by_a_scan(store: Store, easel: Easel) -> None:
    await queued(easel)
    index = canvas_index(shard_of(easel.id))
    await store.client.call("SREM", index, easel.id)
    await sweeper.tidy(store)
    assert await store.client.call("SISMEMBER", index, easel.id)


async def test_j5_an_undecided_result_expires_after_a_day(store: Store, easel: Easel) -> None:
    job = await staged(easel)
    await store.client.call("HSET", CanvasKeys(easel.id).job(job), "updated_ms", 1)
    await sweeper.sweep_canvas(store, easel.id)
    last = (await easel.log())[-1].job
    assert last is not None
    assert (last.state, last.error_code) == ("discarded", "expired")


async def test_j1_places_count_the_tickets_that_nobody_took(store: Store, easel: Easel) -> None:
    ids = [await queued(easel, "ana", Box(x, 0, x + 50, 50)) for x in (0, 100, 200)]
    assert await jobs.queue_places(store) == {ids[0]: 1, ids[1]: 2, ids[2]: 3}
    intake = Intake(store.client, FamilyKeys(), "w1", slots=1, most=1, dead_ms=LEASE_MS, left_ms=LEASE_MS)
    assert await intake.take([]) is not None
    assert await jobs.queue_places(store) == {ids[1]: 1, ids[2]: 2}


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
