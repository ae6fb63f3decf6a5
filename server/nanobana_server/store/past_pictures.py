"""Small pictures of earlier canvases: mip tiles of any names, and a thumbnail of a moment (C2, C13)."""

from nanobana.protocol.errors import Conflict, NotFound
from nanobana.protocol.geometry import MAX_MIP, Box, mip_key, tiles_of
from nanobana.protocol.replica import Replica
from nanobana.protocol.stack import seen
from nanobana.raster.codec import decode_tile
from nanobana.raster.compose import flatten
from nanobana.raster.decode import shrunk
from nanobana.raster.pixels import Rgba, TileKey
from nanobana_server.store.past import Past
from nanobana_server.store.thumbs import SIDE, Thumbs


class PastPictures(Past, Thumbs):
    """The part of the store that shows the past small."""

    async def past_mip_tile(self, canvas: str, seq: int, layer: str, level: int, tx: int, ty: int, key: str) -> bytes:
        """A mip tile of the canvas as it was after the change `seq`; like `mip_tile` otherwise."""
        cached = await self.cached_mip(canvas, key)
        if cached is not None:
            return cached
        names = _under((await self.state_at(canvas, seq)).tiles, layer, level, tx, ty)
        if mip_key(names) != key:
            raise Conflict("This is not what was there at that time.", code="stale", retry_ms=0)
        return await self.mip_of(canvas, level, names, key)

    async def past_thumb(self, canvas: str, seq: int) -> bytes:
        """The whole canvas after the change `seq` within `SIDE` pixels, as lossy WebP.

        Raises:
            NotFound: ``no_moment``; ``no_picture`` before the canvas had a size.
        """
        state = await self.state_at(canvas, seq)
        cache = f"past-{state.position.epoch}-{seq}"
        cached = await self.cached_mip(canvas, cache)
        if cached is not None:
            return cached
        width, height = state.info.width, state.info.height
        if not width or not height:
            raise NotFound("The canvas had no size yet.", code="no_picture")
        level = min(MAX_MIP, max(0, (max(width, height) // (2 * SIDE)).bit_length() - 1))
        box = Box(0, 0, max(1, width >> level), max(1, height >> level))
        tiles = await self._small_tiles(canvas, state, level, box)
        data = await self.pool.run(lambda: shrunk(flatten(state.layers, tiles, box), SIDE))
        return await self.cache_mip(canvas, cache, data)

    async def _small_tiles(self, canvas: str, state: Replica, level: int, box: Box) -> dict[TileKey, Rgba]:
        if level == 0:
            found = await self.get_tiles(canvas, state.tiles.values())
            return {key: found[name] for key, name in state.tiles.items()}
        tiles: dict[TileKey, Rgba] = {}
        for layer in seen(state.layers):
            for tx, ty in tiles_of(box):
                base = _under(state.tiles, layer.id, level, tx, ty)
                if any(base):
                    data = await self.mip_of(canvas, level, base, mip_key(base))
                    tiles[layer.id, tx, ty] = await self.pool.run(decode_tile, data)
        return tiles


def _under(names: dict[TileKey, str], layer: str, level: int, tx: int, ty: int) -> list[str]:
    """Names of the base tiles under a mip tile, row-major."""
    side = 1 << level
    return [names.get((layer, tx * side + x, ty * side + y), "") for y in range(side) for x in range(side)]
