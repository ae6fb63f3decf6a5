"""The reading half of a session: what a member sends is limited, checked against its role, shown or queued as an op."""

import time
from collections.abc import Callable
from math import isfinite
from typing import Protocol

import anyio
from anyio.streams.memory import MemoryObjectSendStream

from nanobana.protocol import codec
from nanobana.protocol import messages as m
from nanobana.protocol.errors import BadInput
from nanobana_server.policy import may
from nanobana_server.room.limits import Limits
from nanobana_server.room.outlet import Outlet
from nanobana_server.room.pictures import are_finite, is_mask_tile
from nanobana_server.room.salvage import read
from nanobana_server.room.wire import Wire

AT_ONCE_BYTES = 4096
"""Larger frames are left to the session's own task."""


_Shown = m.Ping | m.Cursor | m.Chat | m.Look | m.Moving | m.Stroke | m.Mask | m.Prepare


class Expelled(Exception):
    """The server closes this socket.

    Args:
        code: close code (R8).
        problem: the last message that the client gets.
    """

    def __init__(self, code: int, problem: m.Problem) -> None:
        super().__init__(problem.message)
        self.code = code
        self.problem = problem


class Stage(Protocol):
    """Where a member's volatile messages go: the room."""

    def show_cursor(self, member: m.Member, cursor: m.Cursor) -> None: ...
    def show_word(self, member: m.Member, word: m.Chat | m.Look | m.Moving) -> None: ...
    def show_stroke(self, member: m.Member, stroke: m.Stroke) -> None: ...
    def show_mask(self, member: m.Member, mask: m.Mask) -> None: ...
    def foresee(self, member: m.Member, region: m.Prepare) -> None: ...


class Inbox:
    """Reads one socket until it closes.

    Args:
        member: whose it is; replaced when an owner gives them another role.
        client: the tab's ID from hello: its ops must carry it (R7).
        ops: where ops go, in order; reading waits when it is full.
    """

    def __init__(
        self,
        wire: Wire,
        outlet: Outlet,
        stage: Stage,
        member: m.Member,
        client: str,
        limits: Limits,
        ops: "MemoryObjectSendStream[tuple[m.Op, float]]",
        refused: Callable[[str], None],
        diverged: Callable[[m.Diverged], None],
    ) -> None:
        self._wire = wire
        self._outlet = outlet
        self._stage = stage
        self.member = member
        self._client = client
        self._limits = limits
        self._ops = ops
        self._refused = refused
        self._diverged = diverged

    async def run(self) -> None:
        """Until the socket closes.

        Raises:
            Gone: it did.
            Expelled: the server has had enough of it.
        """
        self._wire.offer(self._take_at_once)
        while True:
            try:
                data = await self._wire.read()
                found = read(data)
            except BadInput as error:
                self._bad(m.Problem(code=error.code, message=error.message))
                continue
            pause = self._limits.bytes.debt_of(len(data))
            for message in found:
                await self._take(message)
            if pause > 0.0:
                await anyio.sleep(pause)

    def _take_at_once(self, data: bytes) -> float | None:
        """A frame of nothing but cursors and strokes that are as they should be: shown without a task switch (R6)."""
        if len(data) > AT_ONCE_BYTES or not may(self.member.role, m.Stroke):
            return None
        try:
            found = codec.read_client(data)
        except BadInput:
            return None
        for message in found:
            if not _is_light(message):
                return None
        for message in found:
            if self._limits.volatile.wait_for() == 0.0:
                if isinstance(message, m.Cursor):
                    self._stage.show_cursor(self.member, message)
                elif isinstance(message, m.Stroke):
                    self._stage.show_stroke(self.member, message)
        return self._limits.bytes.debt_of(len(data))

    async def _take(self, message: m.ClientMessage | m.Reject | m.Problem) -> None:
        match message:
            case m.Reject() | m.Problem():
                self._bad(message)
            case m.Hello():
                self._bad(m.Problem(code="out_of_order", message="hello is the first message and comes once"))
            case m.Diverged():
                if self._limits.refused.wait_for() == 0.0:
                    self._diverged(message)
            case m.Mask():
                if self._limits.masks.wait_for() == 0.0:
                    self._show(message)
            case m.Ping() | m.Cursor() | m.Chat() | m.Look() | m.Moving() | m.Stroke() | m.Prepare():
                if self._limits.volatile.wait_for() == 0.0:
                    self._show(message)
            case _:
                await self._queue(message)

    def _show(self, message: _Shown) -> None:
        if not may(self.member.role, type(message)):
            self._outlet.reply(m.Problem(code="not_allowed", message=f"a {self.member.role} cannot do that here"))
            return
        match message:
            case m.Ping(n=n):
                self._outlet.reply(m.Pong(n=n))
            case m.Cursor() if _is_light(message):
                self._stage.show_cursor(self.member, message)
            case m.Chat():
                self._stage.show_word(self.member, message)
            case m.Look(x0=x0, y0=y0, x1=x1, y1=y1) if are_finite((x0, y0, x1, y1)):
                self._stage.show_word(self.member, message)
            case m.Moving(matrix=matrix) if matrix is None or are_finite(matrix):
                self._stage.show_word(self.member, message)
            case m.Stroke() if _is_light(message):
                self._stage.show_stroke(self.member, message)
            case m.Prepare():
                self._stage.foresee(self.member, message)
            case m.Mask(png=None):
                self._stage.show_mask(self.member, message)
            case m.Mask(tile=tile, png=png) if tile is not None and png is not None and is_mask_tile(png):
                self._stage.show_mask(self.member, message)
            case _:
                self._bad(m.Problem(code="bad_message", message="this message has impossible numbers or no such mask"))

    async def _queue(self, op: m.Op) -> None:
        reject: m.Reject | None = None
        wait = self._limits.ops.wait_for()
        if op.op.client != self._client:
            reject = m.Reject(op=op.op, code="not_yours", message="an op carries the client ID of its own tab")
        elif not may(self.member.role, type(op)):
            reject = m.Reject(op=op.op, code="not_allowed", message=f"a {self.member.role} cannot change this canvas")
        elif wait > 0.0:
            message = f"too many changes at once: this one was not saved, try again in {wait:.1f} s"
            reject = m.Reject(op=op.op, code="too_many", message=message, retry_ms=int(wait * 1000) + 1)
        if reject is None:
            await self._ops.send((op, time.monotonic()))
            return
        self._refused(reject.code)
        self._outlet.reply(reject)
        if self._limits.refused.wait_for() > 0.0:
            problem = m.Problem(code="rate", message="far too many messages: come back more slowly", retry_ms=5000)
            raise Expelled(m.CLOSE_RATE, problem)

    def _bad(self, answer: m.Reject | m.Problem) -> None:
        self._refused(answer.code)
        self._outlet.reply(answer)
        if self._limits.bad.wait_for() > 0.0:
            problem = m.Problem(code="bad_frame", message="too much here is not understood: reload the page")
            raise Expelled(m.CLOSE_BAD_FRAME, problem)


def _is_light(message: m.ClientMessage) -> bool:
    """A cursor or points of a stroke whose numbers are possible."""
    if isinstance(message, m.Stroke):
        return len(message.points) % 3 == 0 and are_finite(message.points) and isfinite(message.size)
    return isinstance(message, m.Cursor) and are_finite((message.x, message.y))
