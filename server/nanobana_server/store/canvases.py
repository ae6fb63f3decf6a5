"""Canvases as a whole: make, find, describe, read, delete (C1, C8, C12)."""

from collections.abc import Sequence

import msgspec

from nanobana.keyspace import keys as names
from nanobana.keyspace.keys import CanvasKeys
from nanobana.keyspace.snapshot import canvas_info, read_manifest, tile_field
from nanobana.protocol.canvas import CanvasInfo, Layer, Manifest, OpId, Position
from nanobana.protocol.errors import Conflict, NotFound
from nanobana.raster.pixels import TileKey
from nanobana_server.store.base import Base
from nanobana_server.store.types import Storage, Used, View

DEFAULT_BUDGET = 2 << 30
"""Bytes of blobs that a canvas may hold."""

_layers = msgspec.msgpack.Decoder(list[Layer])


class Canvases(Base):
    """The part of the store that knows canvases as a whole."""

    async def create_canvas(
        self,
        canvas: str,
        *,
        title: str = "",
        width: int = 0,
        height: int = 0,
        budget_bytes: int = DEFAULT_BUDGET,
        layers: Sequence[Layer] = (),
    ) -> None:
        """A new, empty canvas; 0 x 0 takes the size of its first picture.

        Raises:
            Conflict: ``canvas_exists``.
        """
        keys = CanvasKeys(canvas)
        await self.client.call("SADD", names.CANVASES, canvas)
        packed = msgspec.msgpack.encode(list(layers))
        made = await self.client.run("create", [keys.meta, keys.layers], [title, width, height, budget_bytes, packed])
        if not made:
            raise Conflict(f"There is a canvas {canvas} already.", code="canvas_exists")

    async def canvas_exists(self, canvas: str) -> bool:
        return bool(await self.client.call("EXISTS", CanvasKeys(canvas).meta))

    async def canvases(self) -> list[str]:
        """Every canvas's ID, for sweeps."""
        found = await self.client.call("SMEMBERS", names.CANVASES)
        return sorted(canvas.decode() for canvas in found)

    async def manifest(self, canvas: str) -> Manifest:
        """The live snapshot, read by one script (C8). Raises NotFound ``no_canvas``."""
        return await read_manifest(self.client, canvas)

    async def position(self, canvas: str) -> Position:
        """Where the log stands. Raises NotFound ``no_canvas``."""
        epoch, seq, head = await self.client.call("HMGET", CanvasKeys(canvas).meta, "epoch", "seq", "head_op")
        if seq is None:
            raise _no_canvas(canvas)
        return Position(int(epoch), int(seq), msgspec.msgpack.decode(head, type=OpId) if head else None)

    async def info(self, canvas: str) -> CanvasInfo:
        """Title, size and bytes. Raises NotFound ``no_canvas``."""
        return (await self.look(canvas)).canvas

    async def look(self, canvas: str, tiles: Sequence[TileKey] = ()) -> View:
        """Layers and the names of these tiles, in one script: what a writer works from (C5).

        Raises:
            NotFound: ``no_canvas``.
        """
        keys = CanvasKeys(canvas)
        fields = [tile_field(*key) for key in tiles]
        reply = await self.client.run("look", [keys.meta, keys.layers, keys.tiles], fields)
        if reply is None:
            raise _no_canvas(canvas)
        seq, _epoch, title, width, height, used, budget, version, layers, found = reply
        return View(
            seq=int(seq),
            canvas=canvas_info(canvas, title, width, height, used, budget),
            layers=_layers.decode(layers),
            layers_version=int(version),
            names={key: name.decode() for key, name in zip(tiles, found, strict=True)},
        )

    async def storage(self, canvas: str) -> Storage:
        """What the canvas and the store that keeps it have used (C12). Raises NotFound ``no_canvas``."""
        found = await self.client.run("storage", [CanvasKeys(canvas).meta])
        if found is None:
            raise _no_canvas(canvas)
        used, budget, store_used, store_budget = map(int, found)
        return Storage(canvas=Used(used=used, budget=budget), store=Used(used=store_used, budget=store_budget or None))

    async def delete_canvas(self, canvas: str) -> None:
        """Delete keys, blobs, links and jobs of a canvas; nothing happens if there is none (C12)."""
        keys = CanvasKeys(canvas)
        jobs = await self.client.call("HKEYS", keys.open_jobs)
        jobs += await self.client.call("ZRANGE", keys.ended_jobs, 0, -1)
        doomed = [keys.job(job.decode()) for job in jobs] + keys.all
        await self.client.call("UNLINK", *doomed)
        if self.cellar is not None:
            await self.cellar.forget(canvas)
        await self.client.call("SREM", names.CANVASES, canvas)
        await self.client.call("ZREM", names.UPKEEP, canvas)
        await self.client.call("SREM", names.canvas_index(names.shard_of(canvas)), canvas)


def _no_canvas(canvas: str) -> NotFound:
    return NotFound(f"There is no canvas {canvas}.", code="no_canvas")
