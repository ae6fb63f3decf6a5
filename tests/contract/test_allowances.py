"""Budgets are one number in the store, whoever spends (R10)."""

from __future__ import annotations

import anyio
import msgspec
import pytest

from nanobana.keyspace.keys import CanvasKeys, spent
from nanobana_server.store import Store
from nanobana_server.store.allowances import Spend
from support.strokes import Easel


def of(key: str, units: float = 1.0, *, burst: float = 3.0, seconds: float = 3600.0) -> Spend:
    return Spend(key=key, units=units, burst=burst, seconds=seconds)


async def test_r10_two_servers_that_spend_from_one_budget_share_it(store: Store, easel: Easel) -> None:
    other = Store(store.client, store.pool)
    spend = of(spent("canvases", easel.id))
    assert [await each.spend([spend]) for each in (store, other, store)] == [None, None, None]
    short = await other.spend([spend])
    assert short is not None
    which, wait = short
    assert which == 0
    assert wait == pytest.approx(1200.0, abs=30.0)


async def test_r10_of_two_budgets_either_both_pay_or_none(store: Store, easel: Easel) -> None:
    keys = CanvasKeys(easel.id)
    person, link = of(keys.spent("edits", "u:ana")), of(keys.spent("edits", "l:link"), burst=1.0)
    assert await store.spend([person, link]) is None
    for _ in range(5):
        short = await store.spend([person, link])
        assert short is not None and short[0] == 1
    assert [await store.spend([person]) for _ in range(2)] == [None, None]
    assert await store.spend([person]) is not None


async def test_r10_what_was_spent_comes_back_with_time(store: Store, easel: Easel) -> None:
    quick = of(spent("tickets", easel.id), burst=1.0, seconds=0.02)
    assert await store.spend([quick]) is None
    while await store.spend([quick]) is not None:
        pass
    slow = of(spent("uploads", easel.id))
    await store.spend([slow])
    if not store.client.is_cluster:
        assert 0 < await store.client.call("PTTL", slow.key) <= 1_200_001  # and then its key is gone


async def test_r10_more_than_there_can_ever_be_passes_for_somebody_who_is_rested(store: Store, easel: Easel) -> None:
    large = of(spent("bytes", easel.id), 10.0)
    assert await store.spend([large]) is None
    short = await store.spend([msgspec.structs.replace(large, units=1.0)])
    assert short is not None


async def test_r10_a_clock_that_jumped_back_costs_no_more_than_one_burst(store: Store, easel: Easel) -> None:
    spend = of(spent("edits", easel.id), burst=1.0, seconds=0.05)
    seconds, _ = await store.client.call("TIME")
    far = (int(seconds) + 30 * 86_400) * 1_000_000
    await store.client.call("SET", spend.key, str(far))
    short = await store.spend([spend])
    assert short is not None
    assert short[1] <= 0.05
    await anyio.sleep(short[1] + 0.01)
    assert await store.spend([spend]) is None
