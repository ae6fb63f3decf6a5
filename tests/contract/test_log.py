"""Positions, tails, bells: what a reader may rely on (C4, C8, R9)."""

import anyio
import msgspec
import pytest

from nanobana.keyspace.keys import CanvasKeys
from nanobana.protocol.canvas import Change, OpId, Position
from nanobana.protocol.geometry import Box
from nanobana_server.store import Store
from nanobana_server.store.types import Bell, Gone, Reconnected, Volatile
from support.strokes import Easel


async def painted(easel: Easel, count: int) -> Position:
    for n in range(count):
        await easel.paint("ana", Box(n, 0, n + 1, 1))
    return await easel.store.position(easel.id)


async def test_c4_the_tail_after_a_position_follows_on_without_a_gap(store: Store, easel: Easel) -> None:
    position = await painted(easel, 3)
    assert position.op == OpId("tab-ana", 3)
    await painted(easel, 2)
    tail = await store.log_after(easel.id, position)
    changes = [msgspec.msgpack.decode(data, type=Change) for _seq, data in tail]
    assert [change.seq for change in changes] == [4, 5]
    assert await store.log_after(easel.id, await store.position(easel.id)) == []
    assert len(await store.log_after(easel.id, Position(position.epoch, 0), limit=2)) == 2


async def test_c4_a_position_of_another_epoch_is_void(store: Store, easel: Easel) -> None:
    position = await painted(easel, 2)
    epoch = await store.raise_epoch(easel.id, position.epoch)
    assert epoch > position.epoch
    assert await store.raise_epoch(easel.id, position.epoch) == epoch, "whoever comes second finds it raised"
    with pytest.raises(Gone) as gone:
        await store.log_after(easel.id, position)
    assert (gone.value.reason, gone.value.epoch) == ("epoch", epoch)
    await painted(easel, 1)
    assert (await easel.log())[-1].epoch == epoch


async def test_c4_a_store_that_lost_its_tail_is_noticed(store: Store, easel: Easel) -> None:
    position = await painted(easel, 3)
    ahead = Position(position.epoch, 5, OpId("tab-ana", 5))
    replaced = Position(position.epoch, 2, OpId("tab-ben", 7))
    for lost, reason in ((ahead, "ahead"), (replaced, "replaced")):
        with pytest.raises(Gone) as gone:
            await store.log_after(easel.id, lost)
        assert gone.value.reason == reason


async def test_c8_a_trimmed_log_is_a_miss_and_not_a_gap(store: Store, easel: Easel) -> None:
    position = await painted(easel, 2)
    await painted(easel, 4)
    await store.client.call("XTRIM", CanvasKeys(easel.id).log, "MAXLEN", 2)
    for read in (store.log_after(easel.id, position), store.read_tail(easel.id, 3)):
        with pytest.raises(Gone) as gone:
            await read
        assert gone.value.reason == "trimmed"
    assert [seq for seq, _data in await store.read_tail(easel.id, 4)] == [5, 6]


async def test_c8_the_manifest_agrees_with_the_replayed_log(easel: Easel) -> None:
    await painted(easel, 5)
    await easel.undo()
    names: dict[tuple[str, int, int], str] = {}
    for change in await easel.log():
        names |= {(ref.layer, ref.tx, ref.ty): ref.name for ref in change.tiles}
    assert {key: name for key, name in names.items() if name} == await easel.names()


async def test_r9_a_subscriber_hears_bells_and_volatile_messages(store: Store, easel: Easel) -> None:
    heard = store.subscribe(easel.id)
    assert await anext(heard) == Reconnected()
    await store.publish(easel.id, "server-1", b"cursor")
    assert await anext(heard) == Volatile("server-1", b"cursor")
    await painted(easel, 1)
    assert await anext(heard) == Bell(1)
    await heard.aclose()


async def test_r9_subscribers_of_two_canvases_do_not_hear_each_other(store: Store, easel: Easel) -> None:
    other = await Easel.new(store)
    heard = store.subscribe(easel.id)
    await anext(heard)
    await painted(other, 1)
    await painted(easel, 2)
    with anyio.fail_after(5):
        assert [await anext(heard), await anext(heard)] == [Bell(1), Bell(2)]
    await heard.aclose()
