"""A bad network between two parts: a TCP link that delays, stalls and cuts, on command or by a seed."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

CHUNK = 65536


class Link:
    """Listens on a port of 127.0.0.1 and carries bytes to another and back.

    A cut ends every connection without a goodbye, in the middle of a frame where one is under way; a stall holds
    everything back without ending anything; a delay slows every chunk. TCP loses nothing by itself: what is lost is
    what was in the pipe at a cut.
    """

    def __init__(self, port: int, seed: int = 0) -> None:
        self._target = port
        self._dice = random.Random(seed)
        self._flows = asyncio.Event()
        self._flows.set()
        self._writers: set[asyncio.StreamWriter] = set()
        self.delay_s = 0.0
        """Longest wait of a chunk; each waits a random part of it."""
        self.port = 0
        self.cuts = 0

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def cut(self) -> None:
        """End every connection now."""
        self.cuts += 1
        for writer in list(self._writers):
            with contextlib.suppress(RuntimeError):
                writer.transport.abort()

    async def stall(self, seconds: float) -> None:
        """Hold everything back for a while."""
        self._flows.clear()
        try:
            await asyncio.sleep(seconds)
        finally:
            self._flows.set()

    async def misbehave(self, every_s: float) -> None:
        """Until cancelled: now and then a cut, a stall or some slowness."""
        while True:
            await asyncio.sleep(self._dice.uniform(0.2, 1.8) * every_s)
            what = self._dice.random()
            if what < 0.4:
                self.cut()
            elif what < 0.7:
                await self.stall(self._dice.uniform(0.05, 0.5))
            else:
                self.delay_s = self._dice.choice([0.0, 0.0, 0.005, 0.03])

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            while data := await reader.read(CHUNK):
                await self._flows.wait()
                if self.delay_s:
                    await asyncio.sleep(self._dice.random() * self.delay_s)
                writer.write(data)
                await writer.drain()
        except (OSError, RuntimeError):  # uvloop says RuntimeError of a handle that a cut closed
            pass
        finally:
            self._writers.discard(writer)
            with contextlib.suppress(RuntimeError):
                writer.close()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.transport.abort()
            return
        await asyncio.gather(self._carry(reader, there[1]), self._carry(there[0], writer))


@asynccontextmanager
async def faulty_link(port: int, seed: int = 0) -> AsyncIterator[Link]:
    """A link to a port of this machine, closed at the end."""
    link = Link(port, seed)
    server = await asyncio.start_server(link._accept, "127.0.0.1", 0)
    link.port = int(server.sockets[0].getsockname()[1])
    try:
        yield link
    finally:
        server.close()
        link.cut()
        await asyncio.sleep(0)
