"""Looking back at edits: newest first, in pages, with what it takes to repeat them (J6)."""

import io

import pytest
from PIL import Image

from nanobana.keyspace.keys import CanvasKeys
from nanobana.protocol.canvas import OpId
from nanobana.protocol.errors import NotFound
from nanobana.protocol.geometry import Box
from nanobana.protocol.messages import Cancel, Decide
from nanobana_server import jobs
from nanobana_server.store import Store
from nanobana_server.store.thumbs import SIDE
from support.strokes import Easel, author
from support.work import queued, staged

pytestmark = pytest.mark.usefixtures("queue_is_empty")


async def decide(easel: Easel, job: str, *, accept: bool) -> None:
    await jobs.decide(easel.store, easel.id, author(), Decide(op=easel.op(), job=job, accept=accept))


async def test_j6_edits_that_ended_are_told_newest_first_with_their_authors(store: Store, easel: Easel) -> None:
    accepted, discarded, cancelled = await staged(easel), await staged(easel), await queued(easel)
    still_open = await queued(easel, box=Box(400, 400, 500, 480))
    await decide(easel, accepted, accept=True)
    await decide(easel, discarded, accept=False)
    await jobs.cancel(store, easel.id, author(), Cancel(op=easel.op(), job=cancelled))
    past = await store.past_edits(easel.id)
    assert [(edit.job.id, edit.job.state) for edit in past] == [
        (cancelled, "cancelled"),
        (discarded, "discarded"),
        (accepted, "accepted"),
    ]
    assert {edit.job.user_name for edit in past} == {"Ana"}
    assert past[2].job.results
    assert still_open not in {edit.job.id for edit in past}


async def test_j6_an_edit_that_undo_ended_is_told_too(store: Store, easel: Easel) -> None:
    job = await staged(easel)
    await easel.undo()
    assert [(edit.job.id, edit.job.state) for edit in await store.past_edits(easel.id)] == [(job, "discarded")]


async def test_j6_pages_follow_each_other_without_gap_or_repetition(store: Store, easel: Easel) -> None:
    ended = []
    for _ in range(5):
        ended.append(await queued(easel))
        await jobs.cancel(store, easel.id, author(), Cancel(op=easel.op(), job=ended[-1]))
    first = await store.past_edits(easel.id, limit=3)
    rest = await store.past_edits(easel.id, before=first[-1].seq, limit=3)
    assert [edit.job.id for edit in (*first, *rest)] == ended[::-1]


async def test_j6_a_thumbnail_is_made_when_it_is_asked_for_and_outlives_the_result(store: Store, easel: Easel) -> None:
    job = await staged(easel)
    await decide(easel, job, accept=False)
    blob = (await store.past_edits(easel.id))[0].job.results[0].blob
    thumb = await store.thumb(easel.id, blob)
    with Image.open(io.BytesIO(thumb)) as picture:
        assert picture.format == "WEBP"
        assert max(picture.size) <= SIDE
    await store.client.call("HDEL", CanvasKeys(easel.id).blobs, blob)
    assert await store.thumb(easel.id, blob) == thumb
    with pytest.raises(NotFound):
        await store.thumb(easel.id, "0" * 32)


async def test_j6_deleting_a_canvas_forgets_its_edits(store: Store, easel: Easel) -> None:
    job = await queued(easel)
    await jobs.cancel(store, easel.id, author(), Cancel(op=OpId("other", 1), job=job))
    await store.delete_canvas(easel.id)
    assert await store.past_edits(easel.id) == []
