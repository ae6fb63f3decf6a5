"""Blobs of a canvas, and its tiles as pixels with a cache of the last decoded ones (C2, C3)."""

from collections import OrderedDict
from collections.abc import Iterable, Sequence

from nanobana.keyspace import blobs
from nanobana.keyspace.client import Client
from nanobana.keyspace.keys import CanvasKeys
from nanobana.protocol.errors import NotFound
from nanobana.raster.codec import blob_name, decode_tile
from nanobana.raster.pixels import Rgba
from nanobana_server.store.pool import Pool
from nanobana_server.store.stirred import Stirred

CACHED_TILES = 256
"""64 MiB of pixels: the tiles that people draw on now."""

DECODE_BATCH = 8
"""Tiles decoded per trip to the pool, about 12 ms."""


HASHED_HERE = 256 << 10
"""Bytes that are hashed on the event loop (a quarter of a millisecond); more go to the pool."""


ORPHAN_MS = 3_600_000
"""An uploaded blob that no op names is kept for an hour."""

SWEPT_AT_ONCE = 200
"""Blobs per script, so that nobody waits long."""


class TileCache:
    """The last used decoded tiles by name; arrays are read-only and shared."""

    def __init__(self, most: int = CACHED_TILES) -> None:
        self._tiles: OrderedDict[str, Rgba] = OrderedDict()
        self._most = most

    def get(self, name: str) -> Rgba | None:
        tile = self._tiles.get(name)
        if tile is not None:
            self._tiles.move_to_end(name)
        return tile

    def put(self, name: str, tile: Rgba) -> None:
        tile.flags.writeable = False
        self._tiles[name] = tile
        self._tiles.move_to_end(name)
        while len(self._tiles) > self._most:
            self._tiles.popitem(last=False)


class Blobs(Stirred):
    """The part of the store that keeps bytes."""

    def __init__(self, client: Client, pool: Pool) -> None:
        super().__init__(client, pool)
        self.cache = TileCache()

    async def put_blobs(self, canvas: str, data: Sequence[bytes], *, over_budget: bool = False) -> list[str]:
        """Store bytes by content name; idempotent. Raises StorageFull, NotFound ``no_canvas``."""
        await self.stir(canvas)
        names = None
        if sum(map(len, data)) > HASHED_HERE:
            names = await self.pool.run(_names, data)
        return await blobs.put_blobs(self.client, canvas, data, names=names, over_budget=over_budget)

    async def get_blobs(self, canvas: str, names: Sequence[str]) -> list[bytes | None]:
        """Bytes by name in order, from the store or else from the cellar; None for what is in neither."""
        found = await blobs.get_blobs(self.client, canvas, names)
        if self.cellar is not None:
            for n, data in enumerate(found):
                if data is None:
                    found[n] = await self.cellar.get(canvas, names[n])
        return found

    async def get_blob(self, canvas: str, name: str) -> bytes:
        """One blob. Raises NotFound ``missing_blob``."""
        found = (await self.get_blobs(canvas, [name]))[0]
        if found is None:
            raise MissingBlobs([name])
        return found

    async def sweep_blobs(self, canvas: str, grace_ms: int = ORPHAN_MS) -> int:
        """Delete the bytes that nobody's op named within `grace_ms` of their upload (C8).

        Returns:
            Bytes freed.
        """
        keys = CanvasKeys(canvas)
        freed = 0
        while True:
            wanted = [keys.meta, keys.blobs, keys.blob_ages]
            count, size = await self.client.run("sweep_blobs", wanted, [grace_ms, SWEPT_AT_ONCE])
            freed += int(size)
            if int(count) < SWEPT_AT_ONCE:
                return freed

    async def get_tiles(self, canvas: str, names: Iterable[str]) -> dict[str, Rgba]:
        """Decoded tiles by name, "" left out; read-only arrays.

        Raises:
            NotFound: ``missing_blob``: the names are not current any more, read the manifest again (C8).
        """
        found: dict[str, Rgba] = {}
        wanted: list[str] = []
        for name in dict.fromkeys(names):
            tile = self.cache.get(name) if name else None
            if tile is not None:
                found[name] = tile
            elif name:
                wanted.append(name)
        for start in range(0, len(wanted), DECODE_BATCH):
            batch = wanted[start : start + DECODE_BATCH]
            data = await self.get_blobs(canvas, batch)
            gone = [name for name, tile_bytes in zip(batch, data, strict=True) if tile_bytes is None]
            if gone:
                raise MissingBlobs(gone)
            tiles = await self.pool.run(_decode_all, [tile_bytes for tile_bytes in data if tile_bytes is not None])
            for name, tile in zip(batch, tiles, strict=True):
                found[name] = tile
                self.cache.put(name, tile)
        return found


def _names(data: Sequence[bytes]) -> list[str]:
    return [blob_name(item) for item in data]


class MissingBlobs(NotFound):
    """Blobs that an op names, or that somebody asked for, are not there.

    Attributes:
        names: which.
    """

    code = "missing_blob"

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__(f"{len(names)} blobs are not there, {names[0]} among them; upload them again.")
        self.names = list(names)


def _decode_all(data: Sequence[bytes]) -> list[Rgba]:
    return [decode_tile(tile) for tile in data]
