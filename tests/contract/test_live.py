"""Live sessions in the store: one result each, the newest; a decision ends them; nobody touches another's (E7, J5)."""

from __future__ import annotations

import msgspec
import pytest

from nanobana.keyspace import claims
from nanobana.keyspace.blobs import put_blobs
from nanobana.protocol.canvas import Variation
from nanobana.protocol.geometry import Box
from nanobana.protocol.jobs import JobResult
from nanobana.protocol.messages import Cancel, Decide
from nanobana.raster.codec import encode_webp
from nanobana_server import jobs
from nanobana_server.jobs.results import stage
from nanobana_server.store.types import WrongState
from support.strokes import BLUE, GREEN, RED, Colour, Easel, author, flat

BOX = Box(40, 40, 140, 120)


async def asked(easel: Easel, user: str = "ana", box: Box = BOX, live: str | None = "s1", **edit: object) -> str:
    """A live edit, queued; its job."""
    message = easel.edit(user, box, live=live)
    message = msgspec.structs.replace(message, edit=msgspec.structs.replace(message.edit, **edit))
    await jobs.submit(easel.store, easel.id, author(user), message)
    return f"{message.op.client}-{message.op.n}"


async def begun(easel: Easel, job: str) -> JobResult:
    """An engine takes it; what it will hand in."""
    claim = await claims.claim(easel.store.client, easel.id, job, "w", 10_000)
    assert isinstance(claim, claims.Claim)
    return JobResult(canvas=easel.id, job=job, attempt=claim.attempt, worker="w", box=claim.spec.edit.box)


async def handed_in(easel: Easel, result: JobResult, colour: Colour = GREEN) -> bool:
    assert result.box is not None
    (blob,) = await put_blobs(easel.store.client, easel.id, [encode_webp(flat(result.box, colour))])
    done = msgspec.structs.replace(result, variations=[Variation(blob=blob, seed=1)])
    return await stage(easel.store, done) is not None


async def shown(easel: Easel, user: str = "ana", box: Box = BOX, live: str = "s1", colour: Colour = GREEN) -> str:
    """A live edit up to its staged result."""
    job = await asked(easel, user, box, live)
    assert await handed_in(easel, await begun(easel, job), colour)
    return job


async def open_now(easel: Easel) -> dict[str, str]:
    return {job.id: job.state for job in (await easel.manifest()).jobs}


async def test_e7_a_live_result_takes_the_place_of_the_one_before_in_the_same_moment(easel: Easel) -> None:
    first = await shown(easel)
    second = await asked(easel)
    assert await open_now(easel) == {first: "staged", second: "queued"}, "the old one stands until the new one does"
    result = await begun(easel, second)
    before = (await easel.manifest()).position.seq
    assert await handed_in(easel, result)
    assert await open_now(easel) == {second: "staged"}
    changes = [change for change in await easel.log() if change.seq > before]
    assert [(change.job.id, change.job.state) for change in changes if change.job] == [
        (first, "superseded"),
        (second, "staged"),
    ]


async def test_e7_a_session_never_has_more_than_one_edit_under_way_wherever_it_paints(easel: Easel) -> None:
    first = await asked(easel)
    result = await begun(easel, first)
    second = await asked(easel, box=Box(600, 600, 700, 700))
    assert await open_now(easel) == {second: "queued"}
    assert await claims.heartbeat(easel.store.client, easel.id, first, result.attempt, 1000) == "superseded"
    assert not await handed_in(easel, result)


async def test_e7_live_edits_are_drafts_of_one_variation_in_the_live_lane(easel: Easel) -> None:
    job = await asked(easel, quality="best", variations=3, lane="batch", seed=7)
    claim = await claims.claim(easel.store.client, easel.id, job, "w", 10_000)
    assert isinstance(claim, claims.Claim)
    edit = claim.spec.edit
    assert (edit.quality, edit.variations, edit.lane, edit.seed) == ("draft", 1, "live", 7)
    assert [each.live for each in (await easel.manifest()).jobs] == ["s1"]


async def test_e7_two_live_users_on_one_spot_never_invalidate_each_other(easel: Easel) -> None:
    anas, bens = await shown(easel, "ana", live="same-name"), ""
    for _ in range(3):
        bens = await shown(easel, "ben", live="same-name", colour=BLUE)
        assert await open_now(easel) == {anas: "staged", bens: "staged"}
        anas = await shown(easel, "ana", live="same-name")
        assert await open_now(easel) == {anas: "staged", bens: "staged"}
    running = await asked(easel, "ben", live="same-name")
    await jobs.decide(easel.store, easel.id, author("ana"), Decide(op=easel.op("ana"), job=anas, accept=True))
    assert await open_now(easel) == {bens: "staged", running: "queued"}


@pytest.mark.parametrize("accept", [True, False])
async def test_j5_a_decision_ends_what_the_session_still_has_under_way(easel: Easel, accept: bool) -> None:
    await easel.paint("ben", Box(0, 0, 300, 300), RED)
    job = await shown(easel)
    late = await begun(easel, await asked(easel))
    elsewhere = await asked(easel, box=Box(600, 600, 700, 700), live="s2")
    await jobs.decide(easel.store, easel.id, author(), Decide(op=easel.op(), job=job, accept=accept))
    assert not await handed_in(easel, late)
    assert await open_now(easel) == {elsewhere: "queued"}
    assert await easel.pixel(50, 50) == (GREEN if accept else RED)


async def test_j5_a_result_that_was_replaced_can_no_longer_be_accepted(easel: Easel) -> None:
    old = await shown(easel)
    await shown(easel)
    with pytest.raises(WrongState):
        await jobs.decide(easel.store, easel.id, author(), Decide(op=easel.op(), job=old, accept=True))


async def test_c9_a_whole_session_is_one_step_to_undo_and_buries_no_older_ones(easel: Easel) -> None:
    await easel.paint("ana", Box(0, 0, 300, 300), RED)
    for _ in range(3):
        await shown(easel)
    await easel.undo()
    assert await open_now(easel) == {}
    await easel.undo()
    assert await easel.pixel(50, 50) == (0, 0, 0, 0)


async def test_j6_what_a_session_replaced_is_nothing_to_look_back_at(easel: Easel) -> None:
    for _ in range(2):
        await shown(easel)
    job = await shown(easel)
    await jobs.decide(easel.store, easel.id, author(), Decide(op=easel.op(), job=job, accept=True))
    past = await easel.store.past_edits(easel.id)
    assert [edit.job.id for edit in past] == [job]


async def test_e7_cancelling_a_running_live_edit_leaves_the_result_before_it(easel: Easel) -> None:
    first = await shown(easel)
    second = await asked(easel)
    await jobs.cancel(easel.store, easel.id, author(), Cancel(op=easel.op(), job=second))
    assert await open_now(easel) == {first: "staged"}


async def test_e7_a_live_session_is_never_too_many_edits(easel: Easel) -> None:
    for n in range(25):
        await shown(easel, box=Box(n, n, n + 40, n + 40))
    assert len(await open_now(easel)) == 1
