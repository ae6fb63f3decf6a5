"""A result above 2048 pixels is accepted in several ops; whoever dies midway, it ends whole and once (C3, J5)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

from nanobana.keyspace import claims
from nanobana.keyspace.keys import CanvasKeys
from nanobana.protocol.canvas import Change, Variation
from nanobana.protocol.geometry import Box
from nanobana.protocol.jobs import JobResult
from nanobana.protocol.messages import Decide, LayerAdd, LayerDelete
from nanobana.raster.codec import encode_webp
from nanobana_server import jobs
from nanobana_server.jobs import sweeper
from nanobana_server.jobs.results import stage
from nanobana_server.store import Store, ops
from nanobana_server.store.types import Commit, Committed, WrongState
from support.strokes import Easel, author

WIDE = Box(0, 0, 2560, 300)


class PowerCut(Exception):
    """The server is gone."""


class DyingStore(Store):
    """A server that dies right after its first commit."""

    async def commit(self, canvas: str, commit: Commit, *, blobs: Mapping[str, bytes] | None = None) -> Committed:
        await super().commit(canvas, commit, blobs=blobs)
        raise PowerCut


async def wide_result(store: Store) -> tuple[Easel, str]:
    """A canvas with a staged result that is laid in two ops."""
    easel = await Easel.new(store, width=2560, height=512)
    message = easel.edit("ana", Box(0, 0, 100, 100))
    await jobs.submit(store, easel.id, author(), message)
    job = f"{message.op.client}-{message.op.n}"
    claim = await claims.claim(store.client, easel.id, job, "w", 10_000)
    assert isinstance(claim, claims.Claim)
    pixels = np.full((WIDE.height, WIDE.width, 4), 255, np.uint8)
    blob = (await store.put_blobs(easel.id, [encode_webp(pixels)]))[0]
    found = [Variation(blob=blob, seed=1)]
    await stage(
        store, JobResult(canvas=easel.id, job=job, attempt=claim.attempt, worker="w", box=WIDE, variations=found)
    )
    return easel, job


async def half_accepted(store: Store) -> tuple[Easel, Decide]:
    easel, job = await wide_result(store)
    decide = Decide(op=easel.op(), job=job, accept=True, new_layer=True)
    with pytest.raises(PowerCut):
        await jobs.decide(DyingStore(store.client, store.pool), easel.id, author(), decide)
    assert 0 < len(await easel.names()) < 20
    return easel, decide


async def swept_later(easel: Easel, job: str) -> None:
    """What the sweeper does once the server has been silent for long enough."""
    await easel.store.client.call("HSET", CanvasKeys(easel.id).job(job), "updated_ms", 1)
    await sweeper.sweep_canvas(easel.store, easel.id)


def endings(log: list[Change], job: str) -> list[str]:
    states = [change.job.state for change in log if change.job is not None and change.job.id == job]
    return [state for state in states if state not in ("queued", "staged")]


async def test_j5_an_acceptance_cut_short_is_finished_by_the_sweeper_and_undone_as_one(store: Store) -> None:
    easel, decide = await half_accepted(store)
    await swept_later(easel, decide.job)
    assert len(await easel.names()) == 20
    assert (await easel.manifest()).jobs == []
    assert endings(await easel.log(), decide.job) == ["accepted"]
    await easel.undo()
    assert await easel.names() == {}


async def test_j5_the_sweeper_leaves_an_acceptance_alone_that_goes_on(store: Store) -> None:
    easel, _decide = await half_accepted(store)
    before = await easel.names()
    await sweeper.sweep_canvas(store, easel.id)
    assert await easel.names() == before


async def test_c6_the_author_who_comes_back_finishes_it_once(store: Store) -> None:
    easel, decide = await half_accepted(store)
    done = await jobs.decide(store, easel.id, author(), decide)
    await swept_later(easel, decide.job)
    assert (await jobs.decide(store, easel.id, author(), decide)).seq == done.seq
    assert endings(await easel.log(), decide.job) == ["accepted"]
    assert len(await easel.names()) == 20


async def test_j5_nobody_decides_otherwise_in_between(store: Store) -> None:
    easel, decide = await half_accepted(store)
    for other in (False, True):
        with pytest.raises(WrongState):
            await jobs.decide(
                store, easel.id, author(), Decide(op=easel.op(), job=decide.job, accept=other, new_layer=True)
            )


async def test_c5_every_part_goes_to_the_layer_of_the_first_whatever_is_added_meanwhile(store: Store) -> None:
    easel, decide = await half_accepted(store)
    await ops.layer_op(store, easel.id, "ben", LayerAdd(op=easel.op("ben"), layer="over", name="over"))
    await swept_later(easel, decide.job)
    assert len({key[0] for key in await easel.names()}) == 1
    assert len(await easel.names()) == 20


async def test_j5_if_its_layer_is_deleted_in_between_the_result_ends_discarded(store: Store) -> None:
    easel, job = await wide_result(store)
    decide = Decide(op=easel.op(), job=job, accept=True)
    with pytest.raises(PowerCut):
        await jobs.decide(DyingStore(store.client, store.pool), easel.id, author(), decide)
    await ops.layer_op(store, easel.id, "ben", LayerDelete(op=easel.op("ben"), layer="base"))
    await swept_later(easel, job)
    assert endings(await easel.log(), job) == ["discarded"]
