"""A store that lost its tail voids every position: everybody starts again from the manifest (C4)."""

import msgspec

from nanobana.keyspace.keys import CanvasKeys
from nanobana.protocol import messages as m
from nanobana.protocol.canvas import Change
from nanobana_server.store import Store
from support.live_server import Links, LiveServer
from support.members import member

LOSE = """
redis.call('DEL', KEYS[1])
redis.call('XADD', KEYS[1], ARGV[1], 'm', ARGV[2])
redis.call('HSET', KEYS[2], 'seq', ARGV[3], 'head_op', ARGV[4])
"""


async def lose_the_tail(store: Store, canvas: str, seq: int) -> None:
    """Bring a log back to an earlier seq, as a failover to a lagging replica does: at once, for rooms read it."""
    keys = CanvasKeys(canvas)
    _, fields = (await store.client.call("XRANGE", keys.log, f"{seq}-0", f"{seq}-0"))[0]
    op = msgspec.msgpack.decode(fields[b"m"], type=Change).op
    await store.client.call(
        "EVAL", LOSE, 2, keys.log, keys.meta, f"{seq}-0", fields[b"m"], seq, msgspec.msgpack.encode(op)
    )


async def test_c4_when_the_store_lost_its_tail_everybody_gets_the_manifest_and_goes_on(
    server: LiveServer, canvas: Links, store: Store
) -> None:
    async with member(canvas.edit) as (ana, _), member(canvas.view) as (ben, before):
        for name in ("sky", "sea"):
            await ana.do(m.LayerAdd(op=ana.op(), layer=name, name=name))
        await ben.until(m.Changed, lambda changed: changed.change.seq == 2)
        await lose_the_tail(store, canvas.edit.canvas, 1)
        epochs = set()
        for who in (ana, ben):
            position = (await who.until(m.Resync)).manifest.position
            assert position.epoch > before.position.epoch
            assert position.seq == 1
            epochs.add(position.epoch)
        ack = await ana.do(m.LayerAdd(op=ana.op(), layer="sun", name="sun"))
        change = (await ben.until(m.Changed)).change
        assert (change.seq, change.epoch) == (ack.seq, *epochs)
