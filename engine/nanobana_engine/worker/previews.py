"""Previews of one job to everybody: the newest only, never waited for (R3)."""

from __future__ import annotations

import io

import anyio
import numpy as np
import numpy.typing as npt
from anyio import CapacityLimiter, to_thread
from PIL import Image

from nanobana.keyspace.client import Client
from nanobana.keyspace.keys import CanvasKeys
from nanobana.protocol import codec
from nanobana.protocol.errors import NanobanaError
from nanobana.protocol.messages import PATCH_INLINE, Preview
from nanobana.raster.codec import encode_png
from nanobana_engine.engine.board import stencil
from nanobana_engine.engine.events import EditProgress
from nanobana_engine.planner import Plan

SENDER_BYTES = 16
"""Every payload of the volatile channel begins with its sender, padded."""
QUALITY = 85


class Previews:
    """`show` keeps the newest state of the edit, `run` publishes; a state that was overtaken is never encoded."""

    def __init__(self, client: Client, worker: str, canvas: str, job: str, threads: CapacityLimiter) -> None:
        self._client = client
        self._channel = CanvasKeys(canvas).volatile
        self._sender = worker.encode().ljust(SENDER_BYTES)[:SENDER_BYTES]
        self._job = job
        self._threads = threads
        self._plan: Plan | None = None
        self._newest: EditProgress | None = None
        self._bell = anyio.Event()

    async def say_running(self) -> None:
        """Tell that the job is being worked on, before there is a picture."""
        await self._publish(Preview(job=self._job, state="running"))

    def begin(self, plan: Plan) -> None:
        """What the pictures will cover."""
        self._plan = plan

    def show(self, progress: EditProgress) -> None:
        """The newest state."""
        self._newest = progress
        self._bell.set()

    async def say_done(self, name: str, patch: bytes) -> None:
        """The result is there and will be staged: its pixels reach the browsers before the word that they count.

        Args:
            patch: the first variation's; it goes along where it is small, and else is stored by its name.
        """
        whole = patch if len(patch) <= PATCH_INLINE else None
        await self._publish(Preview(job=self._job, state="running", patches=(name,), patch=whole))

    async def run(self) -> None:
        """Publish, until cancelled; losing one is nothing."""
        needs_alpha = True
        while True:
            await self._bell.wait()
            self._bell = anyio.Event()
            newest, self._newest, plan = self._newest, None, self._plan
            if newest is None or plan is None:
                continue
            message = await to_thread.run_sync(
                self._message, newest, plan, needs_alpha, limiter=self._threads, abandon_on_cancel=True
            )
            needs_alpha = needs_alpha and message.alpha is None
            await self._publish(message)

    def _message(self, progress: EditProgress, plan: Plan, needs_alpha: bool) -> Preview:
        jpeg = None if progress.picture is None else encode_jpeg(progress.picture)
        return Preview(
            job=self._job,
            state="running",
            stage=progress.stage,
            step=progress.step,
            of=progress.of,
            tile=progress.tile,
            tiles=progress.tiles,
            box=plan.result,
            jpeg=jpeg,
            alpha=encode_png(stencil(plan)) if needs_alpha and jpeg is not None else None,
        )

    async def _publish(self, message: Preview) -> None:
        try:
            await self._client.call("SPUBLISH", self._channel, self._sender + codec.encode(message))
        except NanobanaError:
            return  # the store is away: volatile traffic may be lost


def encode_jpeg(picture: npt.NDArray[np.uint8]) -> bytes:
    """[h, w, 3] as JPEG."""
    out = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(picture)).save(out, "JPEG", quality=QUALITY)
    return out.getvalue()
