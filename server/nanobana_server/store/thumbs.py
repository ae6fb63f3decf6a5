"""Thumbnails of results, made when somebody first looks and cached beside the mip tiles."""

from nanobana.raster.decode import thumbnail
from nanobana_server.store.blobs import MissingBlobs
from nanobana_server.store.mips import Mips

SIDE = 144
"""Twice what the page shows, for fine screens."""


class Thumbs(Mips):
    """The part of the store that keeps small pictures of large blobs."""

    async def thumb(self, canvas: str, blob: str) -> bytes:
        """A blob's picture within `SIDE` pixels, as lossy WebP.

        Raises:
            NotFound: ``missing_blob``.
            BadInput: ``image_format`` where the blob is no picture.
        """
        key = f"thumb-{blob}"
        cached = await self.cached_mip(canvas, key)
        if cached is not None:
            return cached
        data = (await self.get_blobs(canvas, [blob]))[0]
        if data is None:
            raise MissingBlobs([blob])
        return await self.cache_mip(canvas, key, await self.pool.run(thumbnail, data, SIDE))
