"""A new canvas that begins with a past: one from a file (C8)."""

from collections.abc import Sequence

import msgspec

from nanobana.keyspace.keys import CanvasKeys
from nanobana.keyspace.snapshot import tile_field
from nanobana.protocol.canvas import TERMINAL, CanvasInfo, Change, Layer, OpId, Thread, TileRef
from nanobana.protocol.errors import Conflict
from nanobana_server.store.contents import Kind, Value, put_values, read_value
from nanobana_server.store.history import CHAPTER, History, packed

KEPT_EDITS = 1000
"""As commit.lua keeps them."""

_pack = msgspec.msgpack.Encoder().encode


class Beginning(History):
    """The part of the store that fills a canvas at its beginning."""

    async def begin_with(
        self,
        canvas: str,
        info: CanvasInfo,
        layers: Sequence[Layer],
        tiles: Sequence[TileRef],
        past: Sequence[Change],
        threads: Sequence[Thread] = (),
    ) -> None:
        """Give an empty canvas its title, size, layers and tiles, whose blobs are there, and its history as chapters.

        Args:
            past: every change, seq 1 first; empty: one change makes it what it is.
            threads: its comments.

        Raises:
            Conflict: ``canvas_exists``: something happened in it already.
        """
        keys = CanvasKeys(canvas)
        epoch = (await self.client.call("HGET", keys.meta, "epoch")) or b"0"
        past = past or [await self._arrival(info, layers, tiles)]
        entries = [_pack(msgspec.structs.replace(change, epoch=int(epoch))) for change in past]
        chapters: list[bytes] = []
        for start in range(0, len(entries), CHAPTER):
            part = entries[start : start + CHAPTER]
            name = (await self.put_blobs(canvas, [await self.pool.run(packed, part)], over_budget=True))[0]
            chapters += [str(start + 1).encode(), f"{start + 1}-{start + len(part)}/{name}".encode()]
        values = [
            await self._meta(keys, info, past[-1]),
            await self._settled_ages(keys),
            _value(keys, keys.layers, "string", [_pack(list(layers))]),
            _value(keys, keys.archive, "zset", chapters),
        ]
        if tiles:
            words = [word for tile in tiles for word in (tile_field(*_place(tile)).encode(), tile.name.encode())]
            values.append(_value(keys, keys.tiles, "hash", words))
        if threads:
            words = [word for thread in threads for word in (thread.id.encode(), _pack(thread))]
            values.append(_value(keys, keys.comments, "hash", words))
        ended = [change for change in past if change.job is not None and change.job.state in TERMINAL][-KEPT_EDITS:]
        if ended:
            words = [word for change in ended for word in (f"{change.seq}-0".encode(), b"m", _pack(change.job))]
            values.append(_value(keys, keys.edits, "stream", words))
        if not await put_values(self.client, keys, values):
            raise Conflict("Something happened in this canvas already.", code="canvas_exists")

    async def _arrival(self, info: CanvasInfo, layers: Sequence[Layer], tiles: Sequence[TileRef]) -> Change:
        return Change(
            seq=1,
            epoch=0,
            op=OpId("srv-file", 1),
            user="",
            kind="import",
            time_ms=await self.now_ms(),
            tiles=list(tiles),
            layers=list(layers),
            canvas=info,
        )

    async def _meta(self, keys: CanvasKeys, info: CanvasInfo, last: Change) -> Value:
        found = await read_value(self.client, keys, keys.meta)
        assert found is not None
        fields = dict(zip(found.words[::2], found.words[1::2], strict=True))
        fields |= {
            b"title": info.title.encode(),
            b"width": str(info.width).encode(),
            b"height": str(info.height).encode(),
            b"seq": str(last.seq).encode(),
            b"head_op": _pack(last.op),
            b"layers_version": b"1",
        }
        return _value(keys, keys.meta, "hash", [word for pair in fields.items() for word in pair])

    async def _settled_ages(self, keys: CanvasKeys) -> Value:
        """Every blob that was put is named now, by the canvas or by its history."""
        names = await self.client.call("ZRANGE", keys.blob_ages, 0, -1)
        return _value(keys, keys.blob_ages, "zset", [word for name in names for word in (b"+inf", name)])


def _value(keys: CanvasKeys, key: str, kind: Kind, words: list[bytes]) -> Value:
    return Value(key.removeprefix(keys.prefix), kind, 0, words)


def _place(tile: TileRef) -> tuple[str, int, int]:
    return tile.layer, tile.tx, tile.ty
