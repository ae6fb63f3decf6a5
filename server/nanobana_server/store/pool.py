"""The limited thread pool for pixels: encoding, decoding and compositing never run on the event loop."""

from collections.abc import Callable
from typing import TypeVar, TypeVarTuple

import anyio
from anyio import to_thread

_T = TypeVar("_T")
_Args = TypeVarTuple("_Args")


class Pool:
    """At most `threads` pieces of pixel work at once; more wait their turn in order."""

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self._limiter: anyio.CapacityLimiter | None = None

    async def run(self, work: Callable[[*_Args], _T], *args: *_Args) -> _T:
        """Run `work(*args)` in a thread; a cancelled caller leaves it to finish unheard."""
        if self._limiter is None:
            self._limiter = anyio.CapacityLimiter(self.threads)
        return await to_thread.run_sync(work, *args, limiter=self._limiter, abandon_on_cancel=True)
