"""Turns on tiles inside one process: whoever would lose the commit race anyway waits instead of compositing in vain."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import anyio

from nanobana.raster.pixels import TileKey


@dataclass(slots=True)
class _Turn:
    lock: anyio.Lock = field(default_factory=anyio.Lock)
    users: int = 0


class Turns:
    """First come, first served, per tile. Nothing depends on it: between processes only the comparison counts (C5)."""

    def __init__(self) -> None:
        self._turns: dict[tuple[str, TileKey], _Turn] = {}

    @asynccontextmanager
    async def on(self, canvas: str, tiles: Iterable[TileKey]) -> AsyncIterator[None]:
        """Hold these tiles of a canvas; taken in one order by everybody, so that nobody waits in a circle."""
        held: list[tuple[str, TileKey]] = []
        try:
            for tile in sorted(set(tiles)):
                await self._take((canvas, tile))
                held.append((canvas, tile))
            yield
        finally:
            for key in held:
                self._turns[key].lock.release()
                self._leave(key)

    async def _take(self, key: tuple[str, TileKey]) -> None:
        turn = self._turns.setdefault(key, _Turn())
        turn.users += 1
        try:
            await turn.lock.acquire()
        except BaseException:
            self._leave(key)
            raise

    def _leave(self, key: tuple[str, TileKey]) -> None:
        turn = self._turns[key]
        turn.users -= 1
        if turn.users == 0:
            del self._turns[key]

    def __len__(self) -> int:
        """Tiles that somebody holds or waits for."""
        return len(self._turns)
