"""A canvas as an edit sees it: size, layers and the tiles of one box, with the decoded ones remembered (C5, E9)."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import msgspec
from anyio import CapacityLimiter, to_thread

from nanobana.keyspace.blobs import get_blobs
from nanobana.keyspace.client import Client
from nanobana.keyspace.keys import CanvasKeys
from nanobana.keyspace.snapshot import tile_field
from nanobana.protocol import stack
from nanobana.protocol.canvas import Layer
from nanobana.protocol.errors import Conflict, NotFound
from nanobana.protocol.geometry import Box, tiles_of
from nanobana.raster.codec import decode_tile
from nanobana.raster.compose import flatten
from nanobana.raster.pixels import Rgba, TileKey
from nanobana_engine.memory import Cache
from nanobana_engine.worker.stored import StoredView

TRIES = 3
"""Readings before a canvas counts as too busy: a tile named by one may be gone before its bytes are fetched."""

MOST_LOOKS = 256
"""Canvases whose last look is remembered."""

T = TypeVar("T")

_layers = msgspec.msgpack.Decoder(list[Layer])


@dataclass(frozen=True, slots=True)
class Look:
    """What one script call saw."""

    size: tuple[int, int]
    layers: list[Layer]
    version: bytes
    names: list[str]
    """Of the fields that were asked for; "" for no tile."""


class CanvasReader:
    """Reads boxes of canvases; shared by all jobs of a worker.

    Args:
        tiles: remembers decoded tiles; a tile's name is its content, so what is remembered is never stale.
    """

    def __init__(self, client: Client, threads: CapacityLimiter, tiles: Cache[str, Rgba]) -> None:
        self._client = client
        self._threads = threads
        self._tiles = tiles
        self._looks: OrderedDict[str, Look] = OrderedDict()

    async def look(self, canvas: str, fields: Sequence[str] = ()) -> Look:
        """Size, layers and some tile names, all at one moment.

        Raises:
            NotFound: ``no_canvas``.
        """
        keys = CanvasKeys(canvas)
        reply = await self._client.run("look", [keys.meta, keys.layers, keys.tiles], list(fields))
        if reply is None:
            raise NotFound(f"There is no canvas {canvas}.", code="no_canvas")
        _seq, _epoch, _title, width, height, _used, _budget, version, layers, names = reply
        return Look((int(width), int(height)), _layers.decode(layers), version, [name.decode() for name in names])

    async def seen(self, canvas: str) -> Look:
        """An earlier look, however old, or a first one; `picture` finds out whether it still holds."""
        known = self._looks.get(canvas)
        return await self.look(canvas) if known is None else known

    async def picture(self, canvas: str, box: Box, seen: Look) -> tuple[Rgba, Look]:
        """The visible picture of a box, [h, w, 4], and the look that it shows; reads only the tiles that it needs.

        Args:
            seen: an earlier look, which says which layers to ask for.

        Raises:
            Conflict: ``canvas_busy``, it changed faster than it could be read.
        """

        async def read(now: Look, names: dict[TileKey, str]) -> Rgba | None:
            tiles = await self._decoded(canvas, names)
            if tiles is None:
                return None
            return await to_thread.run_sync(flatten, now.layers, tiles, box, limiter=self._threads)

        return await self._at_one_moment(canvas, box, seen, read)

    async def view(self, canvas: str, box: Box, seen: Look) -> tuple[StoredView, Look]:
        """The same of a large box: its tiles' bytes are read at once, and decoded by need.

        Raises:
            Conflict: ``canvas_busy``, it changed faster than it could be read.
        """

        async def read(now: Look, names: dict[TileKey, str]) -> StoredView | None:
            wanted = list({name for name in names.values() if name})
            blobs = await get_blobs(self._client, canvas, wanted)
            if any(data is None for data in blobs):
                return None
            data = {name: blob for name, blob in zip(wanted, blobs, strict=True) if blob is not None}
            return StoredView(box, now.layers, {key: name for key, name in names.items() if name}, data)

        return await self._at_one_moment(canvas, box, seen, read)

    async def _at_one_moment(
        self, canvas: str, box: Box, before: Look, read: Callable[[Look, dict[TileKey, str]], Awaitable[T | None]]
    ) -> tuple[T, Look]:
        """What `read` makes of a box's layers and tile names, and their look; again where tiles are gone meanwhile."""
        for _ in range(TRIES):
            keys = [(layer.id, tx, ty) for layer in stack.seen(before.layers) for tx, ty in tiles_of(box)]
            now = await self.look(canvas, [tile_field(*key) for key in keys])
            if now.version == before.version:
                found = await read(now, dict(zip(keys, now.names, strict=True)))
                if found is not None:
                    self._remember(canvas, now)
                    return found, now
            before = now
        raise Conflict("The canvas changes too fast to be read at the moment. Try again.", code="canvas_busy")

    def _remember(self, canvas: str, look: Look) -> None:
        self._looks[canvas] = replace(look, names=[])
        self._looks.move_to_end(canvas)
        if len(self._looks) > MOST_LOOKS:
            self._looks.popitem(last=False)

    async def _decoded(self, canvas: str, names: dict[TileKey, str]) -> dict[TileKey, Rgba] | None:
        """Tiles by key; None if one of them is gone from the store: the canvas has moved on."""
        wanted = {name for name in names.values() if name}
        kept = {name: tile for name in wanted if (tile := self._tiles.get(name)) is not None}
        fresh = [name for name in wanted if name not in kept]
        if not fresh:
            return {key: kept[name] for key, name in names.items() if name}
        blobs = await get_blobs(self._client, canvas, fresh)
        if any(data is None for data in blobs):
            return None
        found = [data for data in blobs if data is not None]
        decoded = await to_thread.run_sync(lambda: [decode_tile(data) for data in found], limiter=self._threads)
        for name, tile in zip(fresh, decoded, strict=True):
            kept[name] = tile
            self._tiles.put(name, tile, tile.nbytes)
        return {key: kept[name] for key, name in names.items() if name}
