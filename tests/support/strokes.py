"""A canvas for tests: strokes, pixels and digests in few words, through the store itself."""

from __future__ import annotations

import itertools
import secrets
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from nanobana.protocol.canvas import Change, Layer, Manifest, OpId
from nanobana.protocol.geometry import Box
from nanobana.protocol.messages import Edit, Paint, Restore
from nanobana.protocol.parameters import EditParams, Onto
from nanobana.raster.codec import encode_png
from nanobana_server.store import Store, ops
from nanobana_server.store.ops.export import visible_pixels
from nanobana_server.store.types import Author, Committed

Pixels = npt.NDArray[np.uint8]
Colour = tuple[int, int, int, int]

RED: Colour = (255, 0, 0, 255)
GREEN: Colour = (0, 255, 0, 255)
BLUE: Colour = (0, 0, 255, 255)
VEIL: Colour = (0, 0, 255, 100)


def author(user: str = "ana", *, is_owner: bool = False) -> Author:
    return Author(user=user, name=user.title(), color="#aa0000", is_owner=is_owner)


def flat(box: Box, colour: Colour) -> Pixels:
    return np.full((box.height, box.width, 4), colour, np.uint8)


def mask_png(box: Box, value: int = 255) -> bytes:
    return encode_png(np.full((box.height, box.width), value, np.uint8))


@dataclass
class Easel:
    """One canvas of a store, and op IDs for whoever paints on it: a client per user."""

    store: Store
    id: str
    numbers: dict[str, itertools.count[int]] = field(default_factory=dict)

    @classmethod
    async def new(cls, store: Store, *, budget_bytes: int = 1 << 30, width: int = 1024, height: int = 768) -> Easel:
        canvas = f"t{secrets.token_hex(6)}"
        await store.create_canvas(
            canvas, width=width, height=height, budget_bytes=budget_bytes, layers=[Layer(id="base", name="Base")]
        )
        return cls(store, canvas)

    def op(self, user: str = "ana") -> OpId:
        return OpId(f"tab-{user}", next(self.numbers.setdefault(user, itertools.count(1))))

    def stroke(self, user: str, box: Box, colour: Colour = RED, *, layer: str = "base", erase: bool = False) -> Paint:
        png = encode_png(flat(box, colour))
        return Paint(op=self.op(user), layer=layer, box=box, png=png, mode="erase" if erase else "over")

    async def paint(self, user: str, box: Box, colour: Colour = RED, *, layer: str = "base") -> Committed:
        return await ops.paint(self.store, self.id, user, self.stroke(user, box, colour, layer=layer))

    async def undo(self, user: str = "ana") -> Committed:
        return await ops.undo(self.store, self.id, user, self.op(user))

    async def redo(self, user: str = "ana") -> Committed:
        return await ops.redo(self.store, self.id, user, self.op(user))

    def edit(
        self,
        user: str,
        box: Box,
        *,
        layer: str | None = None,
        onto: Onto = "auto",
        prompt: str = "a pear",
        live: str | None = None,
    ) -> Edit:
        params = EditParams(box=box, mask_png=mask_png(box), prompt=prompt, layer=layer, onto=onto, live=live)
        return Edit(op=self.op(user), edit=params)

    async def restore(self, user: str, seq: int, box: Box | None = None) -> Committed:
        return await ops.restore(self.store, self.id, user, Restore(op=self.op(user), seq=seq, box=box))

    async def manifest(self) -> Manifest:
        return await self.store.manifest(self.id)

    async def names(self) -> dict[tuple[str, int, int], str]:
        return {(ref.layer, ref.tx, ref.ty): ref.name for ref in (await self.manifest()).tiles}

    async def look(self) -> tuple[list[Layer], dict[tuple[str, int, int], str]]:
        """Equal results mean equal canvases (C11)."""
        manifest = await self.manifest()
        return manifest.layers, {(ref.layer, ref.tx, ref.ty): ref.name for ref in manifest.tiles}

    async def pixel(self, x: int, y: int) -> Colour:
        shown = (await visible_pixels(self.store, self.id))[y, x].tolist()
        return (shown[0], shown[1], shown[2], shown[3])

    async def log(self) -> list[Change]:
        import msgspec

        entries = await self.store.read_tail(self.id, 0)
        return [msgspec.msgpack.decode(data, type=Change) for _seq, data in entries]
