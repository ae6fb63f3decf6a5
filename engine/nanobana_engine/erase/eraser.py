"""Erases from the event loop: hands tasks to filling processes, passes on their progress, kills them on cancel (E8)."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import AsyncGenerator

import msgspec
import numpy as np
import numpy.typing as npt

from nanobana.protocol.errors import NanobanaError
from nanobana.raster.pixels import Rgba
from nanobana_engine.engine.events import EditFinished, EditProgress
from nanobana_engine.engine.source import Source
from nanobana_engine.erase.process import LENGTH, Answer, Task

log = logging.getLogger(__name__)

COMMAND = (sys.executable, "-m", "nanobana_engine.erase.process")


class Eraser:
    """A few filling processes, started when needed, kept warm, replaced when killed.

    Args:
        at_once: erases that run at the same time.
    """

    def __init__(self, at_once: int = 2) -> None:
        self._free: list[asyncio.subprocess.Process] = []
        self._turns = asyncio.Semaphore(at_once)

    async def warm_up(self) -> None:
        """Have one process ready."""
        self._free.append(await self._start())

    async def run(self, source: Source) -> AsyncGenerator[EditProgress | EditFinished, None]:
        """Erase; progress with each coarse fill, then the end. Cancelling the caller kills the process.

        Raises:
            NanobanaError: ``erase_failed``, the process died or refused.
        """
        async with self._turns:
            process = self._free.pop() if self._free else await self._start()
            done = False
            try:
                async for event in self._talk(process, source):
                    yield event
                done = True
            finally:
                if done and process.returncode is None:
                    self._free.append(process)
                elif process.returncode is None:
                    process.kill()

    async def close(self) -> None:
        """End all idle processes."""
        for process in self._free:
            if process.returncode is None:
                process.kill()
            await process.wait()
        self._free.clear()

    async def _start(self) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            *COMMAND,
            str(os.getpid()),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=1 << 20,
        )

    async def _talk(
        self, process: asyncio.subprocess.Process, source: Source
    ) -> AsyncGenerator[EditProgress | EditFinished, None]:
        assert process.stdin is not None
        assert process.stdout is not None
        task = await asyncio.to_thread(_task, source)
        try:
            process.stdin.write(LENGTH.pack(len(task)) + task)
            await process.stdin.drain()
            while True:
                (length,) = LENGTH.unpack(await process.stdout.readexactly(LENGTH.size))
                answer = msgspec.msgpack.decode(await process.stdout.readexactly(length), type=Answer)
                if answer.error:
                    raise NanobanaError(f"Erasing failed: {answer.error}. Nothing was changed.", code="erase_failed")
                picture = np.frombuffer(answer.pixels, np.uint8).reshape(*source.picture.shape[:2], 3)
                cut = source.plan.result_inside
                shown = picture[cut.y0 : cut.y1, cut.x0 : cut.x1]
                yield EditProgress(source.id, "erase", answer.step, answer.of, shown)
                if answer.step == answer.of:
                    yield EditFinished(source.id, source, [picture.astype(np.float32) / np.float32(255.0)], 0.0)
                    return
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            raise NanobanaError(
                "Erasing stopped: its process died. Nothing was changed.", code="erase_failed"
            ) from error


def _task(source: Source) -> bytes:
    plan = source.plan
    hole = plan.denoise > 0
    return msgspec.msgpack.encode(
        Task(
            width=plan.size[0],
            height=plan.size[1],
            pixels=_opaque(source.picture).tobytes(),
            hole=hole.tobytes(),
            mask=(plan.user_mask > 0).tobytes(),
            seed=source.seed(0),
        )
    )


def _opaque(picture: Rgba) -> npt.NDArray[np.uint8]:
    """Without alpha: PatchMatch copies colours; see-through pixels count as they look on nothing."""
    return np.ascontiguousarray(picture[..., :3])
