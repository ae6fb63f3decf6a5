"""The past of a canvas: what happened, what it was like, named versions, and bringing it back (C13)."""

import secrets
from collections.abc import Awaitable, Callable

from nanobana.protocol import messages as m
from nanobana.protocol.canvas import Manifest, OpId, Version
from nanobana.protocol.geometry import Box
from nanobana.protocol.past import Moments
from nanobana.protocol.replica import Replica
from nanobana.sdk.http import CanvasHttp


class Past:
    """What was; `Canvas.past`.

    Args:
        next_op: a new op ID.
        settled: sends an op and waits until the replica holds the result.
    """

    def __init__(
        self,
        http: CanvasHttp,
        replica: Replica,
        next_op: Callable[[], OpId],
        settled: Callable[[m.Op], Awaitable[int]],
    ) -> None:
        self._http = http
        self._replica = replica
        self._next_op = next_op
        self._settled = settled

    async def moments(self, before: int | None = None) -> Moments:
        """A page of what happened, newest first; its `before` asks for the next one."""
        return await self._http.moments(before)

    async def versions(self) -> list[Version]:
        """The moments that have names, newest first."""
        return (await self._http.moments(None)).versions

    async def look(self, seq: int) -> Manifest:
        """The canvas right after a change. Raises NotFound ``no_moment``."""
        return await self._http.past(seq)

    async def restore(self, seq: int, box: Box | None = None) -> int:
        """Make the canvas what it was right after a change, or only a region of every layer; `undo` takes it back.

        Raises:
            NotFound: ``no_moment``; ``missing_blob`` where pixels of that time are kept no longer.
            BadInput: ``nothing_changed``, ``outside``.
        """
        return await self._settled(m.Restore(op=self._next_op(), seq=seq, box=box))

    async def name(self, name: str, seq: int | None = None) -> str:
        """Give a moment a name, None: the present one; returns the version's ID."""
        version = secrets.token_hex(6)
        at = self._replica.position.seq if seq is None else seq
        await self._settled(m.VersionSet(op=self._next_op(), version=version, name=name, seq=at))
        return version

    async def forget(self, version: str) -> None:
        """Take a version's name away; nothing else is lost."""
        await self._settled(m.VersionSet(op=self._next_op(), version=version, name="", seq=0))
