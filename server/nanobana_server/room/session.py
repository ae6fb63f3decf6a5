"""One member's session, from welcome to goodbye: the tasks of one socket and how they end."""

import contextlib
import secrets
import time
from collections.abc import Awaitable, Callable

import anyio
import msgspec
import structlog
from anyio.streams.memory import MemoryObjectReceiveStream

from nanobana.protocol import PROTOCOL_VERSION, codec
from nanobana.protocol import messages as m
from nanobana.protocol.canvas import Manifest, Role
from nanobana.protocol.errors import NanobanaError, NotFound
from nanobana.protocol.trace import name_of, trace_of
from nanobana_server.metrics import Metrics
from nanobana_server.policy.tokens import Access
from nanobana_server.room.inbox import Expelled, Inbox
from nanobana_server.room.limits import Limits
from nanobana_server.room.ops import Ops
from nanobana_server.room.outlet import Outlet, Stalled
from nanobana_server.room.refusals import Refusals
from nanobana_server.room.resume import Start
from nanobana_server.room.room import Room
from nanobana_server.room.wire import Gone, Wire

FINISH_S = 5.0
"""Time for the ops that arrived before their socket closed."""

OPS_WAITING = 64
"""Ops that a member may have under way; above it the server stops reading from its socket."""

_log = structlog.get_logger("nanobana.session")


class Session:
    """A reader of a room, and the author of ops.

    Args:
        access: what the ticket said (R7): user, role, link.
        client: the tab's ID, from hello.
        snapshot: fetches the canvas's manifest.
    """

    def __init__(
        self,
        wire: Wire,
        room: Room,
        member: m.Member,
        access: Access,
        client: str,
        ops: Ops,
        limits: Limits,
        metrics: Metrics,
        snapshot: Callable[[], Awaitable[Manifest]],
    ) -> None:
        self.member = member
        self.access = access
        self._wire = wire
        self._room = room
        self._ops = ops
        self._metrics = metrics
        self._outlet = Outlet(wire, room.frames, room.pace, snapshot)
        self._ops_in, self._ops_out = anyio.create_memory_object_stream[tuple[m.Op, float]](OPS_WAITING)
        self._inbox = Inbox(
            wire, self._outlet, room, member, client, limits, self._ops_in, self._count_refusal, self._correct
        )
        self._refusals = Refusals()
        self._scope = anyio.CancelScope()
        self._is_ended = False
        self._worked = anyio.Event()
        self._log = _log.bind(canvas=room.canvas, member=member.id, role=member.role)

    @property
    def lags(self) -> bool:
        return self._outlet.lags

    def push(self) -> None:
        self._outlet.push()

    def become(self, role: Role) -> None:
        """From now on the member may do what the role may, no more and no less (R7)."""
        self.member = self._inbox.member = self._ops.member = msgspec.structs.replace(self.member, role=role)
        self._log = self._log.bind(role=role)
        self._log.info("role changed")
        self._room.renew(self)

    def end(self, code: int, problem: m.Problem) -> None:
        """Say why, close the socket and cancel the session's tasks; the first reason wins."""
        if self._scope.cancel_called:
            return
        self._is_ended = code != m.CLOSE_DRAINING
        self._metrics.closed.labels(str(code)).inc()
        self._log.info("session ended", code=code, reason=problem.code)
        self._outlet.last_words(problem)
        self._wire.end(code, problem.code)
        self._scope.cancel()

    async def run(self, start: Callable[[], Awaitable[Start]], engines: m.Engines, began: float) -> None:
        """Take a seat, welcome the member, serve it until the socket or the server ends it, finish what it sent.

        Args:
            start: finds out where the reader begins; called after the seat is taken (R5: subscribe first).
            began: monotonic time of the accepted ticket.
        """
        async with self._ops_in, self._ops_out, anyio.create_task_group() as tasks:
            tasks.start_soon(self._work)
            self._room.add(self)
            try:
                with self._scope:
                    await self._guarded(lambda: self._serve(start, engines, began))
            finally:
                self._room.remove(self)
            await self._finish()
            tasks.cancel_scope.cancel()

    async def _serve(self, start: Callable[[], Awaitable[Start]], engines: m.Engines, began: float) -> None:
        found = await start()
        welcome = m.Welcome(
            protocol=PROTOCOL_VERSION,
            you=self.member,
            position=found.position,
            canvas=found.canvas,
            members=self._room.presence.everybody,
            manifest=found.manifest,
            model=engines.models[0].name if engines.models else "",
        )
        self._outlet.start([codec.encode(welcome), *found.tail], found.cursor)
        self._metrics.joined_seconds.observe(time.monotonic() - began)
        self._log.info("member joined", resumed=found.manifest is None)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._guarded, self._outlet.run)
            await self._guarded(self._inbox.run)

    async def _finish(self) -> None:
        """Somebody who closes the page right after a stroke gets that stroke saved; the expelled do not."""
        self._ops_in.close()
        if not self._is_ended:
            with anyio.move_on_after(FINISH_S):
                await self._worked.wait()

    async def _guarded(self, task: Callable[[], Awaitable[None]]) -> None:
        """Run one task of the session; its end is the session's end, and no exception leaves it."""
        try:
            await task()
        except Gone:
            pass
        except Expelled as expelled:
            self.end(expelled.code, expelled.problem)
        except Stalled as stalled:
            self.end(m.CLOSE_SLOW, m.Problem(code="slow", message=str(stalled), retry_ms=1000))
        except NanobanaError as error:
            code = m.CLOSE_GONE if isinstance(error, NotFound) else m.CLOSE_STORE
            self.end(code, m.Problem(code=error.code, message=error.message, retry_ms=error.retry_ms))
        except Exception:  # noqa: BLE001 - logged whole; only this session ends
            self._log.exception("session failed")
            self.end(m.CLOSE_STORE, m.Problem(code="server_error", message="something broke here", retry_ms=1000))
        self._scope.cancel()

    async def _work(self) -> None:
        """Do the member's ops one after the other and answer each (R2)."""
        waiting: MemoryObjectReceiveStream[tuple[m.Op, float]] = self._ops_out
        async for op, arrived in waiting:
            answer = self._refusals.of(op.op) or await self._do(op, arrived)
            if isinstance(answer, m.Reject):
                self._refusals.note(answer)
            with contextlib.suppress(Gone):
                self._outlet.reply(answer)
            if self._outlet.is_full and not self._scope.cancel_called:
                await self._outlet.answered()
        self._worked.set()

    async def _do(self, op: m.Op, arrived: float) -> m.Ack | m.Reject:
        """Whatever is logged meanwhile is of the op's trace; deciding or cancelling an edit is of the edit's."""
        about = op.job if isinstance(op, m.Decide | m.Cancel) else name_of(op.op)
        with structlog.contextvars.bound_contextvars(trace=trace_of(about)):
            answer, again = await self._done(op, name_of(op.op), arrived)
        self._room.tape.note(self.member, op, answer, self._room.position.seq, again=again)
        return answer

    async def _done(self, op: m.Op, name: str, arrived: float) -> tuple[m.Ack | m.Reject, bool]:
        """The answer, and whether it is the first one again (C6)."""
        kind = str(op.__struct_config__.tag)
        try:
            done = await self._ops.do(op)
        except NanobanaError as error:
            self._count_refusal(error.code)
            self._log.info("op refused", op=name, kind=kind, code=error.code, ms=_ms_since(arrived))
            return m.Reject(op=op.op, code=error.code, message=error.message, retry_ms=error.retry_ms), False
        except Exception:  # noqa: BLE001 - logged whole; only this op is refused
            self._log.exception("op failed", op=name, kind=kind)
            self._count_refusal("server_error")
            text = "something broke here; your change was not saved"
            return m.Reject(op=op.op, code="server_error", message=text), False
        took = time.monotonic() - arrived
        self._metrics.saved_seconds.labels(kind).observe(took)
        self._log.info("op saved", op=name, kind=kind, seq=done.seq, ms=round(took * 1000, 1))
        return m.Ack(op=op.op, seq=done.seq), not done.first_time

    def _correct(self, found: m.Diverged) -> None:
        """The member's copy is not what the store has: count it, say so in the log, and send it all anew (R9)."""
        self._metrics.diverged.inc()
        self._log.error("a copy diverged", position=found.position, sum=found.sum)
        self._outlet.doubt("what you saw was not what is stored; it has been corrected")

    def _count_refusal(self, code: str) -> None:
        self._metrics.rejected.labels(code).inc()


def _ms_since(moment: float) -> float:
    return round((time.monotonic() - moment) * 1000, 1)


def new_member(access: Access, role: Role, color: str) -> m.Member:
    """A member for a new connection; only the ticket says who it is (R7)."""
    return m.Member(id=secrets.token_urlsafe(6), user=access.user, name=access.name, color=color, role=role)
