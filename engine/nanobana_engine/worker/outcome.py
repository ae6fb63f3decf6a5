"""A result on its way to the canvas's slot: parts are stored as they come, a picture of all of them at the end (C3)."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import anyio
import numpy as np
from anyio import CapacityLimiter, to_thread

from nanobana.keyspace.blobs import put_blobs
from nanobana.keyspace.client import Client
from nanobana.protocol.canvas import ResultPart, Variation
from nanobana.protocol.errors import NanobanaError
from nanobana.protocol.geometry import Box
from nanobana.protocol.messages import PATCH_INLINE
from nanobana.raster.codec import blob_name, encode_png, encode_webp
from nanobana.raster.pixels import Rgba
from nanobana_engine.engine import EditFinished, Source
from nanobana_engine.engine.parts import Part
from nanobana_engine.planner.resample import resize
from nanobana_engine.worker.lease import Lease
from nanobana_engine.worker.patience import patiently

WEBP_SIDE = 16383
SMALL_SIDE = 1024
"""Longest side of the picture that stands for a result in parts."""


class Outcome:
    """The patches of one edit.

    Parts wait in a queue as long as the store is away; it holds at most the parts of one result, 8 bits a channel.
    """

    def __init__(self, client: Client, lease: Lease, source: Source, threads: CapacityLimiter) -> None:
        self._client = client
        self._lease = lease
        self._source = source
        self._threads = threads
        self._send, self._receive = anyio.create_memory_object_stream[Part](max_buffer_size=float("inf"))
        self.patch_s = 0.0
        """From the model's last picture to the bytes of what was not stored before."""
        self._stored = anyio.Event()
        self._error: NanobanaError | None = None
        self._names: dict[tuple[int, Box], str] = {}
        box = source.plan.result
        shrink = min(1.0, SMALL_SIDE / max(box.width, box.height))
        size = (max(1, round(box.height * shrink)), max(1, round(box.width * shrink)))
        self._small: list[Rgba] = []
        if source.plan.is_large:
            self._small = [np.zeros((*size, 4), np.uint8) for _ in range(source.edit.variations)]

    def add(self, part: Part) -> None:
        """A finished part; one of the same box that was added before is forgotten."""
        self._send.send_nowait(part)

    async def run(self) -> None:
        """Store what is added, until `finish`; what goes wrong is told there."""
        try:
            async for part in self._receive:
                await self._store(part)
        except NanobanaError as error:
            self._error = error
        finally:
            self._stored.set()
            self._send.close()
            self._receive.close()

    async def finish(self, end: EditFinished, tell: Callable[[str, bytes], None]) -> list[Variation]:
        """Wait for what was added, store the rest; the variations as they are handed in.

        Args:
            tell: takes name and bytes of the first variation's picture; before they are stored, where they are small
                enough to be shown by themselves.

        Raises:
            StorageFull, NotFound: what the store refused.
        """
        source = self._source
        began = time.perf_counter()
        if not source.plan.is_large:
            blobs = await self._side_by_side(end)
            self.patch_s = time.perf_counter() - began
            is_small = len(blobs[0]) <= PATCH_INLINE
            if is_small:
                tell(blob_name(blobs[0]), blobs[0])
            names = await self._put_last(blobs)
            if not is_small:
                tell(names[0], blobs[0])
            return [Variation(blob=name, seed=source.seed(index)) for index, name in enumerate(names)]
        self._send.close()
        await self._stored.wait()
        if self._error is not None:
            raise self._error
        rest = end.parts()
        while part := await to_thread.run_sync(next, rest, None, limiter=self._threads):
            await self._store(part)
        smalls = await to_thread.run_sync(_all_encoded, self._small, limiter=self._threads)
        self.patch_s = time.perf_counter() - began
        names = await self._put_last(smalls)
        tell(names[0], smalls[0])
        return [
            Variation(blob=name, seed=source.seed(index), parts=self._parts(index)) for index, name in enumerate(names)
        ]

    async def _side_by_side(self, end: EditFinished) -> list[bytes]:
        """The patches' bytes, variation by variation."""
        blobs = [b""] * len(end.pictures)

        async def make(variation: int) -> None:
            blobs[variation] = await to_thread.run_sync(_patch, end, variation, limiter=self._threads)

        async with anyio.create_task_group() as making:
            for variation in range(len(blobs)):
                making.start_soon(make, variation)
        return blobs

    async def _store(self, part: Part) -> None:
        key = part.variation, part.box
        data = await to_thread.run_sync(self._encoded, part, limiter=self._threads)
        if data is None:
            self._names.pop(key, None)
            return
        self._names[key] = (await self._put([data]))[0]

    def _encoded(self, part: Part) -> bytes | None:
        """The part's patch, and its place in the small picture of all."""
        patch = part.patch()
        small, whole = self._small[part.variation], self._source.plan.result
        across, down = small.shape[1] / whole.width, small.shape[0] / whole.height
        at = part.box.shift(-whole.x0, -whole.y0)
        x0, y0, x1, y1 = round(at.x0 * across), round(at.y0 * down), round(at.x1 * across), round(at.y1 * down)
        if x1 > x0 and y1 > y0:
            small[y0:y1, x0:x1] = 0 if patch is None else resize(patch, (x1 - x0, y1 - y0))
        return None if patch is None else encode_webp(patch)

    def _parts(self, variation: int) -> list[ResultPart]:
        return [ResultPart(box, name) for (index, box), name in self._names.items() if index == variation]

    async def _put(self, blobs: Sequence[bytes]) -> list[str]:
        return await patiently(lambda: put_blobs(self._client, self._lease.canvas, blobs))

    async def _put_last(self, blobs: Sequence[bytes]) -> list[str]:
        return await patiently(lambda: self._lease.put(blobs))


def _patch(end: EditFinished, variation: int) -> bytes:
    """Lossless; WebP ends at 16383 a side."""
    patch = end.patch(variation)
    return encode_webp(patch) if max(patch.shape) <= WEBP_SIDE else encode_png(patch)


def _all_encoded(pictures: Sequence[Rgba]) -> Sequence[bytes]:
    return [encode_webp(picture) for picture in pictures]
