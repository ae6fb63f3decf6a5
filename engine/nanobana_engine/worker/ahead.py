"""Before an edit is asked for: members' masks are heard of, and an idle engine prepares for the newest (E9)."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

import anyio
import msgspec

from nanobana.keyspace.client import Client
from nanobana.keyspace.keys import FamilyKeys
from nanobana.protocol.errors import NanobanaError, Unavailable
from nanobana.protocol.jobs import Foretold, Hint, JobSpec, Opened
from nanobana.raster.codec import blob_name
from nanobana_engine.engine.source import Source
from nanobana_engine.memory.flights import GoesOn
from nanobana_engine.worker.niceness import stand_back
from nanobana_engine.worker.patience import BackOff
from nanobana_engine.worker.prepare import Preparer

log = logging.getLogger(__name__)

MOST_HINTS = 64
"""Regions that wait to be prepared; the oldest are forgotten first."""
MOST_PIXELS = 4_000_000
"""Of a mask's box; larger ones are not prepared for: it costs too much for what may never be asked."""
STALE_S = 60.0
"""After so long nobody is about to ask any more."""

_foretold: msgspec.msgpack.Decoder[Foretold] = msgspec.msgpack.Decoder(Foretold)


@dataclass(frozen=True, slots=True)
class Region:
    """One canvas under one mask."""

    canvas: str
    mask: str
    """Name of the mask's bytes."""


def region_of(spec: JobSpec) -> Region:
    """What a job works on."""
    return Region(spec.canvas, spec.edit.mask_blob or "")


@dataclass(frozen=True, slots=True)
class _Foreseen:
    hint: Hint
    region: Region
    heard_at: float


class Ahead:
    """Prepares for one hint at a time, the newest first, while no job is in hand.

    What is prepared goes into caches by its content, so nothing here can make a result wrong: a hint that is late,
    lost, wrong or malicious costs time. It is dropped as soon as a job of anybody else is in hand.

    What takes long is done in a thread that takes only the processor time that others leave. What is brief is not: who
    asks meanwhile would wait for it behind everybody else.

    Args:
        prepare: does the work, in a thread; returns early once its second argument says so.
        is_brief: whether it will be over in a fraction of a second.
        expect: has a model brought into memory, "" for the default one, while nothing runs; returns at once.
    """

    def __init__(
        self,
        client: Client,
        family: FamilyKeys,
        preparer: Preparer,
        prepare: Callable[[Source, GoesOn], None],
        is_brief: Callable[[Source], bool],
        expect: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._channel = family.hints
        self._preparer = preparer
        self._prepare = prepare
        self._is_brief = is_brief
        self._expect = expect
        self._clock = clock
        self._brisk = ThreadPoolExecutor(1, "ahead")
        self._behind = ThreadPoolExecutor(1, "ahead-behind", initializer=stand_back)
        self._foreseen: OrderedDict[tuple[str, str], _Foreseen] = OrderedDict()
        """By canvas and user, the newest last."""
        self._busy: tuple[Region, ...] = ()
        """Of the jobs in hand; replaced as a whole, for the preparing thread reads it."""
        self._stirred = anyio.Event()
        self._is_over = False

    def __len__(self) -> int:
        """Hints that wait."""
        return len(self._foreseen)

    @contextmanager
    def busy(self, region: Region) -> Iterator[None]:
        """A job is in hand for as long as the block runs; its own region needs no hint any more."""
        self._busy = (*self._busy, region)
        for key in [key for key, each in self._foreseen.items() if each.region == region]:
            del self._foreseen[key]
        try:
            yield
        finally:
            left = list(self._busy)
            left.remove(region)
            self._busy = tuple(left)
            self._stirred.set()

    def hear(self, hint: Foretold) -> None:
        """Somebody may soon ask for this; replaces what the same user was about to ask for on this canvas."""
        if not self._preparer.serves(hint.model):
            return
        if isinstance(hint, Opened):
            if not self._busy:
                self._expect(hint.model)
            return
        if hint.box.area > MOST_PIXELS:
            return
        key, region = (hint.canvas, hint.user), Region(hint.canvas, blob_name(hint.mask_png))
        self._foreseen.pop(key, None)
        self._foreseen[key] = _Foreseen(hint, region, self._clock())
        if len(self._foreseen) > MOST_HINTS:
            self._foreseen.popitem(last=False)
        self._stirred.set()

    async def run(self) -> None:
        """Hear and prepare, until cancelled."""
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._listen)
                while True:
                    await self._stirred.wait()
                    self._stirred = anyio.Event()
                    while not self._busy and (newest := self._newest()) is not None:
                        await self._work_on(newest)
        finally:
            self._is_over = True
            for thread in (self._brisk, self._behind):
                thread.shutdown(wait=False, cancel_futures=True)

    def _newest(self) -> _Foreseen | None:
        oldest = self._clock() - STALE_S
        for key in [key for key, each in self._foreseen.items() if each.heard_at < oldest]:
            del self._foreseen[key]
        return next(reversed(self._foreseen.values()), None)

    async def _work_on(self, foreseen: _Foreseen) -> None:
        """Prepare for one; it waits again if it had to be dropped for a job."""

        def goes_on() -> bool:
            return not self._is_over and all(region == foreseen.region for region in self._busy)

        hint, began = foreseen.hint, self._clock()
        try:
            source = await self._preparer.foreseen(hint)
            if goes_on():
                thread = self._brisk if self._is_brief(source) else self._behind
                await asyncio.get_running_loop().run_in_executor(thread, self._prepare, source, goes_on)
        except NanobanaError as error:  # the edit itself will say so, if it comes
            log.debug("nothing to prepare on canvas %s: %s", hint.canvas, error.code)
        except Exception:
            log.exception("preparing on canvas %s failed", hint.canvas)
        else:
            if not goes_on():
                return
            log.info("prepared ahead: canvas %s, %.0f ms", hint.canvas, (self._clock() - began) * 1000.0)
        if self._foreseen.get((hint.canvas, hint.user)) is foreseen:
            del self._foreseen[hint.canvas, hint.user]

    async def _listen(self) -> None:
        """Hear of hints for ever; those that come while the store is away are lost."""
        back_off = BackOff()
        while True:
            try:
                async with self._client.sharded_channels(self._channel) as channel:
                    async for message in channel.listen():
                        if message["type"] == "smessage":
                            back_off.reset()
                            self._opened(message["data"])
            except Unavailable:
                await back_off.wait()

    def _opened(self, body: bytes) -> None:
        try:
            self.hear(_foretold.decode(body))
        except msgspec.DecodeError:
            log.warning("a hint is not understood")
