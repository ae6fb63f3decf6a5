"""Mip tiles: made when first asked for, named by the base tiles that they show, cached in the canvas's slot (C2)."""

from collections.abc import Sequence

from nanobana.keyspace.keys import CanvasKeys
from nanobana.keyspace.snapshot import tile_field
from nanobana.protocol.errors import BadInput, Conflict, NotFound, StorageFull
from nanobana.protocol.geometry import MAX_MIP, mip_key
from nanobana.raster.codec import decode_tile, encode_webp
from nanobana.raster.mips import reduce_four
from nanobana.raster.pixels import Rgba
from nanobana_server.store.blobs import Blobs

MIP_BUDGET = 64 << 20
"""Bytes of cached mip tiles per canvas; the longest unused go first."""


class Mips(Blobs):
    """The part of the store that keeps smaller pictures of the tiles."""

    async def mip_tile(self, canvas: str, layer: str, level: int, tx: int, ty: int, key: str) -> bytes:
        """The bytes of a mip tile, 2**level canvas pixels to one of its own.

        Args:
            key: geometry.mip_key over the names of the 4**level base tiles, row-major, as the asker knows them.

        Raises:
            Conflict: ``stale``: the tiles are others by now; take the names from the log and ask again.
            NotFound: ``no_tile`` where there is nothing to show.
            BadInput: ``bad_level``.
        """
        if not 1 <= level <= MAX_MIP:
            raise BadInput(f"mip levels go from 1 to {MAX_MIP}", code="bad_level")
        cached = await self.cached_mip(canvas, key)
        if cached is not None:
            return cached
        names = await self._base_names(canvas, layer, level, tx, ty)
        if mip_key(names) != key:
            raise Conflict("The picture changed meanwhile; ask for the newer one.", code="stale", retry_ms=0)
        return await self.mip_of(canvas, level, names, key)

    async def mip_of(self, canvas: str, level: int, names: Sequence[str], key: str) -> bytes:
        """The bytes of a mip tile over these base tiles, row-major. Raises NotFound ``no_tile`` where all are ""."""
        if not any(names):
            raise NotFound("There is nothing to show here.", code="no_tile")
        cached = await self.cached_mip(canvas, key)
        if cached is not None:
            return cached
        return await self.put_mip(canvas, key, await self._make(canvas, level, names))

    async def put_mip(self, canvas: str, key: str, pixels: Rgba) -> bytes:
        """Encode and cache a mip tile."""
        return await self.cache_mip(canvas, key, await self.pool.run(encode_webp, pixels))

    async def cache_mip(self, canvas: str, key: str, data: bytes) -> bytes:
        """Keep a small picture for the next who asks; where there is no room it is only answered."""
        keys = CanvasKeys(canvas)
        try:
            await self.client.run("put_mip", [keys.meta, keys.mips, keys.mip_ages], [key, data, MIP_BUDGET])
        except StorageFull:
            return data
        return data

    async def cached_mip(self, canvas: str, key: str) -> bytes | None:
        keys = CanvasKeys(canvas)
        found: bytes | None = await self.client.call("HGET", keys.mips, key)
        return found

    async def _base_names(self, canvas: str, layer: str, level: int, tx: int, ty: int) -> list[str]:
        side = 1 << level
        fields = [tile_field(layer, tx * side + x, ty * side + y) for y in range(side) for x in range(side)]
        found = await self.client.call("HMGET", CanvasKeys(canvas).tiles, *fields)
        return [name.decode() if name else "" for name in found]

    async def _make(self, canvas: str, level: int, names: Sequence[str]) -> Rgba:
        """From the four tiles of the level below, each made and cached in turn."""
        if level == 1:
            tiles = await self.get_tiles(canvas, names)
            quarters = [tiles.get(name) for name in names]
        else:
            quarters = [await self._lower(canvas, level - 1, part) for part in _quarters(names)]
        made = await self.pool.run(reduce_four, quarters)
        assert made is not None
        return made

    async def _lower(self, canvas: str, level: int, names: Sequence[str]) -> Rgba | None:
        if not any(names):
            return None
        key = mip_key(names)
        cached = await self.cached_mip(canvas, key)
        if cached is not None:
            return await self.pool.run(decode_tile, cached)
        made = await self._make(canvas, level, names)
        await self.put_mip(canvas, key, made)
        return made


def _quarters(names: Sequence[str]) -> list[list[str]]:
    """Row-major names of a square split into its four quarters, each row-major."""
    side = int(len(names) ** 0.5)
    half = side // 2
    return [
        [names[(y0 + y) * side + x0 + x] for y in range(half) for x in range(half)]
        for y0 in (0, half)
        for x0 in (0, half)
    ]
