"""Erases from the event loop: hands tasks to filling processes, passes on their progress, kills them on cancel (E8)."""

from __future__ import annotations

import asyncio
import logging
import math
import os
import sys
from collections.abc import AsyncGenerator

import msgspec
import numpy as np
import numpy.typing as npt

from nanobana.protocol.errors import NanobanaError
from nanobana.protocol.geometry import Box
from nanobana_engine.engine.board import cut
from nanobana_engine.engine.cost import cost_without_model
from nanobana_engine.engine.events import EditFinished, EditProgress
from nanobana_engine.engine.shown import Sight, lent
from nanobana_engine.engine.source import Source
from nanobana_engine.erase.fill import LARGEST
from nanobana_engine.erase.process import LENGTH, Answer, Task
from nanobana_engine.planner.overview import SEEN, overview
from nanobana_engine.planner.stages import FEWEST_STEPS, Stage

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
        asked = await asyncio.to_thread(_asked, source)
        task = msgspec.msgpack.encode(asked)
        try:
            process.stdin.write(LENGTH.pack(len(task)) + task)
            await process.stdin.drain()
            while True:
                (length,) = LENGTH.unpack(await process.stdout.readexactly(LENGTH.size))
                answer = msgspec.msgpack.decode(await process.stdout.readexactly(length), type=Answer)
                if answer.error:
                    raise NanobanaError(f"Erasing failed: {answer.error}. Nothing was changed.", code="erase_failed")
                picture = np.frombuffer(answer.pixels, np.uint8).reshape(asked.height, asked.width, 3)
                stage = _stage(asked.width, asked.height)
                yield EditProgress(source.id, "erase", answer.step, answer.of, cut(source.plan, stage, picture))
                if answer.step == answer.of:
                    yield await asyncio.to_thread(_finished, source, stage, picture)
                    return
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            raise NanobanaError(
                "Erasing stopped: its process died. Nothing was changed.", code="erase_failed"
            ) from error


def _asked(source: Source) -> Task:
    """The whole context, or a large one at the size at which PatchMatch runs."""
    plan = source.plan
    if not plan.is_large:
        planes = plan.whole()
        hole, mask, pixels = planes.denoise > 0, planes.user_mask > 0, source.bytes_of(plan.inside)
    else:
        shrink = math.sqrt(LARGEST / plan.context.area)
        target = max(1, round(plan.size[0] * shrink)), max(1, round(plan.size[1] * shrink))
        small = overview(plan, target)
        hole, mask = small.hole(plan), small.masked > SEEN
        pixels = source.laid_out(target)
    return Task(
        width=hole.shape[1],
        height=hole.shape[0],
        pixels=np.ascontiguousarray(pixels).tobytes(),
        hole=hole.tobytes(),
        mask=mask.tobytes(),
        seed=source.seed(0),
    )


def _finished(source: Source, stage: Stage, picture: npt.NDArray[np.uint8]) -> EditFinished:
    """The end; a large region's fill gets its detail part by part, from whoever takes the parts."""
    cost = cost_without_model(source.plan)
    if not source.plan.is_large:
        return EditFinished(source.id, source, [picture.astype(np.float32) / np.float32(255.0)], 0.0, cost)
    sight = Sight(source, stage, [picture], lent(source, [picture]))
    return EditFinished(source.id, source, [], 0.0, cost, sheets=sight)


def _stage(width: int, height: int) -> Stage:
    return Stage("detail", width, height, (Box(0, 0, width, height),), 1.0, FEWEST_STEPS)
