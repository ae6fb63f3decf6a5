"""The writing half of a session: pulls frames when its socket has drained, holds nothing for it meanwhile (R4)."""

import contextlib
from collections.abc import Awaitable, Callable

import anyio
import msgspec

from nanobana.protocol import codec
from nanobana.protocol import messages as m
from nanobana.protocol.canvas import Manifest
from nanobana_server.room.board import TooFarBehind
from nanobana_server.room.cursor import Cursor, Frames, Void
from nanobana_server.room.pace import Pace
from nanobana_server.room.wire import Gone, Wire, framed_messages

_REPLIES = 64


class Stalled(Exception):
    """The socket took nothing for too long, or its reader slept through too much."""


class Outlet:
    """Writes shared frames and this member's own replies to one socket.

    In the fast path the room's tick calls `push`, which writes the shared frame at once. Whatever cannot be written at
    once is left to `run`, which waits for the socket and then takes the reader from its cursor to the present.

    Args:
        snapshot: fetches the manifest for a reader whose cursor is void.
    """

    def __init__(self, wire: Wire, frames: Frames, pace: Pace, snapshot: Callable[[], Awaitable[Manifest]]) -> None:
        self._wire = wire
        self._frames = frames
        self._pace = pace
        self._snapshot = snapshot
        self._cursor: Cursor | None = None
        self._replies: list[bytes] = []
        self._is_busy = False
        self._woken = anyio.Event()
        self._answered = anyio.Event()
        self._doubt = ""

    @property
    def lags(self) -> bool:
        """The socket has not drained, or its reader must start again."""
        return self._is_busy or bool(self._doubt) or not self._wire.is_clear

    def start(self, welcome: list[bytes], cursor: Cursor) -> None:
        """Write the welcome; from now on the reader follows the room from `cursor`."""
        self._wire.write(framed_messages(welcome))
        self._cursor = cursor
        self.push()

    def push(self) -> None:
        """The room has something new. Never waits and never raises."""
        if self._cursor is None:
            return
        try:
            while not self.lags:
                step = self._frames.step(self._cursor)
                if step is None:
                    return
                if step.frame:
                    self._wire.write(step.frame)
                self._cursor = step.until
        except (Void, TooFarBehind):
            pass
        except Gone:
            return
        self._woken.set()

    def doubt(self, reason: str) -> None:
        """The reader's copy is wrong: it gets a manifest next, and nothing before it."""
        self._doubt = reason
        self._woken.set()

    def reply(self, message: msgspec.Struct) -> None:
        """Something for this member alone; never waits. Whoever makes replies must heed `is_full`."""
        self._replies.append(codec.encode(message))
        if not self.lags:
            self._flush()
        else:
            self._woken.set()

    def last_words(self, message: msgspec.Struct) -> None:
        """Why the session ends, if the socket still takes it at once: nothing waits any more."""
        if not self.lags:
            with contextlib.suppress(Gone):
                self._wire.write(framed_messages([*self._replies, codec.encode(message)]))

    @property
    def is_full(self) -> bool:
        """The reader leaves its replies lying: no more of its ops should be taken until `answered`."""
        return len(self._replies) >= _REPLIES

    async def answered(self) -> None:
        """Return once the replies are on their way; a reader that never takes them is cut off by `run`."""
        while self.is_full:
            await self._answered.wait()

    async def run(self) -> None:
        """The slow path, for the session's whole life.

        Raises:
            Gone: the socket is closed.
            Stalled: the reader must be cut off.
        """
        while True:
            await self._woken.wait()
            self._woken = anyio.Event()
            self._is_busy = True
            try:
                while await self._advance():
                    pass
            finally:
                self._is_busy = False

    async def _advance(self) -> bool:
        """Wait until the socket has drained, write one frame; False where there was nothing to write."""
        with anyio.move_on_after(self._pace.stall) as patience:
            await self._wire.drained()
        if patience.cancelled_caught:
            raise Stalled(f"the socket took nothing for {self._pace.stall:.0f} s")
        if self._replies:
            self._flush()
            return True
        if self._cursor is None:
            return False
        if self._doubt:
            reason, self._doubt = self._doubt, ""
            await self._resync(reason)
            return True
        try:
            step = self._frames.step(self._cursor)
        except Void as void:
            await self._resync(void.reason)
            return True
        except TooFarBehind as error:
            raise Stalled("the reader slept through too much") from error
        if step is None:
            return False
        if step.frame:
            self._wire.write(step.frame)
        self._cursor = step.until
        return True

    async def _resync(self, reason: str) -> None:
        manifest = await self._snapshot()
        self._wire.write(framed_messages([codec.encode(m.Resync(manifest=manifest, reason=reason))]))
        self._cursor = self._frames.newcomer(manifest.position.seq)

    def _flush(self) -> None:
        replies, self._replies = self._replies, []
        self._answered.set()
        self._answered = anyio.Event()
        self._wire.write(framed_messages(replies))
