"""Comments on a canvas: pin, reply, resolve, take back; for commenters, editors and owners."""

import secrets
from collections.abc import Awaitable, Callable

from nanobana.protocol import messages as m
from nanobana.protocol.canvas import OpId, Thread
from nanobana.sdk.http import CanvasHttp


class Comments:
    """The threads of one canvas; `Canvas.comments`.

    Args:
        next_op: a new op ID.
        settled: sends an op and waits until the replica holds the result.
    """

    def __init__(
        self, http: CanvasHttp, next_op: Callable[[], OpId], settled: Callable[[m.Op], Awaitable[int]]
    ) -> None:
        self._http = http
        self._next_op = next_op
        self._settled = settled

    async def threads(self) -> list[Thread]:
        """Every thread, the oldest first; changes of them are among the canvas's events."""
        return await self._http.threads()

    async def pin(self, x: float, y: float, text: str) -> str:
        """A new thread at a point of the canvas; returns its ID."""
        thread = secrets.token_hex(6)
        await self._settled(m.CommentAdd(op=self._next_op(), thread=thread, text=text, x=x, y=y))
        return thread

    async def reply(self, thread: str, text: str) -> None:
        """Say more in a thread; one that was resolved is open again."""
        await self._settled(m.CommentAdd(op=self._next_op(), thread=thread, text=text))

    async def resolve(self, thread: str, *, resolved: bool = True) -> None:
        await self._settled(m.ThreadResolve(op=self._next_op(), thread=thread, resolved=resolved))

    async def delete(self, thread: str, comment: str) -> None:
        """Take back a comment of mine (an owner: anybody's); a thread goes with its last one."""
        await self._settled(m.CommentDelete(op=self._next_op(), thread=thread, comment=comment))
