"""A store that is full refuses new pixels only: people still come in, read and undo (C12)."""

import secrets

from anyio import to_thread

from nanobana.protocol import messages as m
from nanobana.protocol.geometry import Box
from nanobana_server.allinone import store
from support.bombs import png
from support.live_server import Links
from support.members import member
from support.valkey import PrivateValkey


async def test_c12_a_full_store_lets_people_join_read_and_undo(canvas: Links, valkey: PrivateValkey) -> None:
    async with member(canvas.edit) as (ana, _):
        layer = secrets.token_hex(4)
        await ana.do(m.LayerAdd(op=ana.op(), layer=layer, name="ink"))
        await ana.do(m.Paint(op=ana.op(), layer=layer, box=Box(0, 0, 64, 64), png=png(64, 64, colour=(1, 2, 3, 255))))
        await to_thread.run_sync(limit, valkey, 1)
        try:
            more = m.Paint(op=ana.op(), layer=layer, box=Box(0, 0, 64, 64), png=png(64, 64, colour=(9, 9, 9, 255)))
            assert (await ana.refused(more)).code == "storage_full"
            async with member(canvas.edit) as (_, welcome):
                assert welcome.manifest is not None
                assert len(welcome.manifest.tiles) == 1
            await ana.do(m.Undo(op=ana.op()))
        finally:
            await to_thread.run_sync(limit, valkey, 0)


def limit(valkey: PrivateValkey, size: int) -> None:
    """The store's `maxmemory`; 0 is none."""
    assert store.ask(valkey.socket, "CONFIG", "SET", "maxmemory", str(size)) == "+OK"
