"""The pixels of a staged result, cut as they are laid: a large one is never held whole (C3)."""

import numpy as np

from nanobana.protocol.canvas import ResultPart, Variation
from nanobana.protocol.geometry import Box
from nanobana.raster.decode import decode_patch
from nanobana.raster.patches import crop
from nanobana.raster.pixels import Rgba
from nanobana_server.store import Store


class Result:
    """One variation of a staged result.

    Args:
        box: the result's box, in canvas pixels.
    """

    def __init__(self, store: Store, canvas: str, variation: Variation, box: Box) -> None:
        self._store = store
        self._canvas = canvas
        self._parts = variation.parts
        self._whole = ResultPart(box, variation.blob)
        self._patch: Rgba | None = None
        """The patch where it came as one; decoded once."""

    async def cut(self, box: Box) -> Rgba:
        """The patch over a box inside the result's, [h, w, 4].

        Raises:
            NotFound: ``missing_blob``.
            BadInput: ``bad_patch``, a blob is no patch of its box.
        """
        if not self._parts:
            if self._patch is None:
                self._patch = await self._decoded(self._whole)
            return crop(self._patch, self._whole.box, box)
        cut = np.zeros((box.height, box.width, 4), np.uint8)
        for part in self._parts:
            common = part.box.intersect(box)
            if not common.is_empty:
                here = cut[common.y0 - box.y0 : common.y1 - box.y0, common.x0 - box.x0 : common.x1 - box.x0]
                here[...] = crop(await self._decoded(part), part.box, common)
        return cut

    async def _decoded(self, part: ResultPart) -> Rgba:
        data = await self._store.get_blob(self._canvas, part.blob)
        return await self._store.pool.run(decode_patch, data, part.box)
