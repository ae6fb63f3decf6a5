"""The way from an accepted socket to a seat in a room: hello, ticket, seat, start (R1, R5, R8)."""

import time
from collections.abc import Callable

import anyio
import msgspec
import structlog

from nanobana.protocol import PROTOCOL_VERSION, codec
from nanobana.protocol import messages as m
from nanobana.protocol.canvas import Person, Role
from nanobana.protocol.errors import BadInput, NanobanaError, NotAllowed, NotFound
from nanobana_server.metrics import Metrics
from nanobana_server.policy.budgets import Budgets
from nanobana_server.policy.standing import CLOSES, StandingWatch
from nanobana_server.policy.tokens import Access
from nanobana_server.room.colours import colour_of
from nanobana_server.room.inbox import Expelled
from nanobana_server.room.limits import Allowance, Limits
from nanobana_server.room.ops import Ops
from nanobana_server.room.resume import Start, begin, snapshot
from nanobana_server.room.room import Room
from nanobana_server.room.rooms import Rooms
from nanobana_server.room.session import Session, new_member
from nanobana_server.room.wire import Gone, Wire, framed_messages
from nanobana_server.store import Store

_log = structlog.get_logger("nanobana.session")


class Door:
    """Lets members into rooms.

    Args:
        seats: most members of a canvas who do more than watch; `watchers` more members may come, as viewers.
    """

    def __init__(
        self,
        rooms: Rooms,
        store: Store,
        standing: StandingWatch,
        budgets: Budgets,
        metrics: Metrics,
        allowance: Allowance,
        clock: Callable[[], float],
        *,
        seats: int,
        watchers: int,
    ) -> None:
        self._rooms = rooms
        self._store = store
        self._standing = standing
        self._budgets = budgets
        self._metrics = metrics
        self._allowance = allowance
        self._clock = clock
        self._seats = seats
        self._watchers = watchers

    async def serve(self, wire: Wire, canvas: str) -> None:
        """One accepted socket, until it is closed."""
        try:
            hello = await self._hello(wire)
            began = time.monotonic()
            access, role = await self._access(hello, canvas)
            async with self._rooms.held(canvas) as room:
                await self._admit(wire, room, hello, access, role, began)
        except Gone:
            return
        except Expelled as expelled:
            self._turn_away(wire, expelled.code, expelled.problem)
        except NanobanaError as error:
            code = m.CLOSE_GONE if isinstance(error, NotFound) else m.CLOSE_STORE
            code = m.CLOSE_DRAINING if error.code == "draining" else code
            self._turn_away(wire, code, m.Problem(code=error.code, message=error.message, retry_ms=error.retry_ms))

    async def _hello(self, wire: Wire) -> m.Hello:
        with anyio.move_on_after(self._rooms.pace.hello):
            try:
                data = await wire.read()
                first = codec.read_client(data)[:1]
            except BadInput as error:
                problem = m.Problem(code=error.code, message=error.message)
                raise Expelled(m.CLOSE_BAD_FRAME, problem) from error
            if not first or not isinstance(first[0], m.Hello):
                raise _expelled(m.CLOSE_BAD_FRAME, "hello_expected", "the first message must be hello")
            hello = first[0]
            if hello.protocol != PROTOCOL_VERSION:
                text = f"this server speaks protocol {PROTOCOL_VERSION}, the page {hello.protocol}: reload the page"
                raise _expelled(m.CLOSE_PROTOCOL, "protocol", text)
            if hello.client.startswith(("srv-", "grp-")):
                raise _expelled(m.CLOSE_PROTOCOL, "bad_client", "client IDs with this beginning are the server's own")
            return hello
        raise _expelled(m.CLOSE_SLOW, "hello_timeout", "no hello came in time", retry_ms=1000)

    async def _access(self, hello: m.Hello, canvas: str) -> tuple[Access, Role]:
        claims = await self._store.take_ticket(hello.ticket)
        try:
            access = msgspec.convert(claims, Access)
        except msgspec.ValidationError:
            access = None
        if access is None or access.canvas != canvas:
            raise _expelled(m.CLOSE_TICKET, "ticket", "this ticket is used up or too old: get another", retry_ms=0)
        try:
            role = await self._standing.role_of(access)
        except NotAllowed as refused:
            raise _expelled(CLOSES[refused.code], refused.code, refused.message) from refused
        try:
            await self._store.bind_client(canvas, hello.client, access.user)
        except NotAllowed as error:
            raise _expelled(m.CLOSE_PROTOCOL, error.code, error.message) from error
        return access, role

    async def _admit(self, wire: Wire, room: Room, hello: m.Hello, access: Access, role: Role, began: float) -> None:
        if self._is_full(room, role):
            here = len(room.presence.everybody)
            text = f"this canvas has {here} members already" + ("" if role == "viewer" else ": watch instead")
            raise _expelled(m.CLOSE_ROOM_FULL, "room_full", text)
        member = new_member(access, role, access.color or colour_of(access.user, room.presence.everybody))

        async def start() -> Start:
            return await begin(room, self._store, hello.position)

        self._metrics.members.inc()
        try:
            await self._store.put_member(room.canvas, member)
            if access.role != "viewer":
                person = Person(user=member.user, name=member.name, color=member.color)
                await self._store.remember_person(room.canvas, person)
            session = Session(
                wire, room, member, access, hello.client,
                Ops(self._store, room.canvas, member, access.link, self._budgets),
                Limits(self._allowance, self._clock),
                self._metrics,
                lambda: snapshot(room, self._store),
            )  # fmt: skip
            await session.run(start, self._rooms.engines, began)
        finally:
            self._metrics.members.dec()
            with anyio.move_on_after(2, shield=True):
                await self._drop(room.canvas, member)

    def _is_full(self, room: Room, role: Role) -> bool:
        """Who watches takes no seat of those who work here; an owner always finds one, to make room."""
        everybody = room.presence.everybody
        if role == "owner":
            return False
        if len(everybody) >= self._seats + self._watchers:
            return True
        return role != "viewer" and sum(member.role != "viewer" for member in everybody) >= self._seats

    async def _drop(self, canvas: str, member: m.Member) -> None:
        try:
            await self._store.drop_member(canvas, member.id)
        except NanobanaError:
            _log.debug("member fades out by itself", canvas=canvas, member=member.id)

    def _turn_away(self, wire: Wire, code: int, problem: m.Problem) -> None:
        self._metrics.closed.labels(str(code)).inc()
        _log.info("turned away", code=code, reason=problem.code)
        try:
            wire.write(framed_messages([codec.encode(problem)]))
        except Gone:
            return
        wire.end(code, problem.code)


def _expelled(code: int, reason: str, text: str, retry_ms: int | None = None) -> Expelled:
    return Expelled(code, m.Problem(code=reason, message=text, retry_ms=retry_ms))
