"""Pixels of a canvas: put on it, moved, read and taken along as files."""

import secrets
from typing import Literal

import numpy as np
import numpy.typing as npt

from nanobana.protocol import messages as m
from nanobana.protocol.geometry import Affine, Box, tile_box, tiles_of
from nanobana.raster.codec import decode_tile, encode_png
from nanobana.raster.patches import chunks, crop
from nanobana.sdk.http import Arrived
from nanobana.sdk.joined import Joined

LARGEST = 2048
"""Side of the largest patch that is sent as one op (C3)."""

Mask = npt.NDArray[np.uint8]
"""[height, width] uint8, 255 = regenerate."""


class Painting(Joined):
    """Pictures, strokes and files."""

    async def add_image(self, data: bytes, *, name: str = "picture", x: int = 0, y: int = 0) -> str:
        """A JPEG, PNG or WebP as a new layer, upright by its EXIF; returns the layer's ID."""
        layer = secrets.token_hex(6)
        seq = await self.http.upload(data, op=self.next_op(), layer=layer, name=name, x=x, y=y)
        await self.until(lambda: self.replica.position.seq >= seq)
        return layer

    async def add_open_raster(self, data: bytes, *, name: str = "Layers", x: int = 0, y: int = 0) -> Arrived:
        """The layers of an OpenRaster file, in a group; a canvas without a size becomes what the file is.

        Raises BadInput ``bad_open_raster``, with what is wrong with it.
        """
        layer = secrets.token_hex(6)
        made = await self.http.upload_layers(data, op=self.next_op(), layer=layer, name=name, x=x, y=y)
        await self.until(lambda: self.replica.position.seq >= made.seq)
        return made

    async def paint(self, layer: str, x: int, y: int, rgba: npt.NDArray[np.uint8], *, erase: bool = False) -> int:
        """Lay straight-alpha pixels [h, w, 4] over a layer at (x, y), or erase by their alpha; returns the seq.

        However large they are, one `undo` takes them back (C3), and where there is no room for all none are laid:
        everything is sent first, and a stroke that was begun is finished (C12).
        """
        whole = Box(x, y, x + rgba.shape[1], y + rgba.shape[0])
        boxes = [whole]
        if max(whole.width, whole.height) > LARGEST:
            inside = whole.intersect(Box(0, 0, self.replica.info.width, self.replica.info.height))
            boxes = chunks(inside, LARGEST) or boxes
        sent: list[tuple[Box, bytes | None, str | None]] = []
        for box in boxes:
            png = encode_png(crop(rgba, whole, box))
            sent.append((box, None, await self.http.put_blob(png)) if len(png) > m.INLINE else (box, png, None))
        seq, group = 0, None
        for box, inline, blob in sent:
            op = self.next_op()
            if len(boxes) > 1 and group is None:
                group = op.n
            mode: Literal["over", "erase"] = "erase" if erase else "over"
            seq = await self._settled(
                m.Paint(op=op, layer=layer, box=box, png=inline, blob=blob, mode=mode, group=group)
            )
        return seq

    async def transform(self, layer: str, matrix: Affine, *, mask: Mask | None = None, x: int = 0, y: int = 0) -> int:
        """Move, scale, turn or flip a layer's pixels; one `undo` takes it back (C14).

        Args:
            matrix: of canvas pixels, e.g. from `nanobana.raster.affine.about`; whole steps, quarter turns and flips
                copy every byte.
            mask: [h, w] uint8 placed at (x, y): only what is under it, 255 = moves along; None: all of the layer.

        Raises:
            BadInput: ``bad_transform``, ``nothing_to_move``.
        """
        png = None if mask is None else encode_png(mask)
        blob = await self.http.put_blob(png) if png is not None and len(png) > m.INLINE else None
        box = None if mask is None else Box(x, y, x + mask.shape[1], y + mask.shape[0])
        message = m.Transform(
            op=self.next_op(), layer=layer, matrix=matrix, box=box, mask_png=None if blob else png, mask_blob=blob
        )
        return await self._settled(message)

    async def pixels(self, layer: str, box: Box) -> npt.NDArray[np.uint8]:
        """What one layer holds in a box, [h, w, 4] straight alpha."""
        out = np.zeros((box.height, box.width, 4), np.uint8)
        for tx, ty in tiles_of(box):
            name = self.replica.tiles.get((layer, tx, ty))
            if name is None:
                continue
            tile = decode_tile(await self.http.blob(name))
            at = tile_box(tx, ty)
            cut = at.intersect(box)
            out[cut.y0 - box.y0 : cut.y1 - box.y0, cut.x0 - box.x0 : cut.x1 - box.x0] = tile[
                cut.y0 - at.y0 : cut.y1 - at.y0, cut.x0 - at.x0 : cut.x1 - at.x0
            ]
        return out

    async def export(self, box: Box | None = None) -> bytes:
        """PNG of the visible canvas, or of a box of it; raises BadInput ``outside`` where nothing is in it."""
        return await self.http.export(box)

    async def export_open_raster(self) -> bytes:
        """The canvas with its layers, groups and blend modes as an OpenRaster file, for GIMP, Krita and others."""
        return await self.http.open_raster()

    async def save(self, *, history: bool = True) -> bytes:
        """The whole canvas as one file, layers and all, for `open_canvas_file` here or on another server."""
        return await self.http.file(history=history)
