"""One member's socket: hello, reconnect with resume, and ops that are sent again under their own IDs until answered."""

import asyncio
import contextlib
import random
from collections.abc import Callable
from dataclasses import dataclass

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidMessage

from nanobana.protocol import PROTOCOL_VERSION, codec
from nanobana.protocol import messages as m
from nanobana.protocol.canvas import OpId, Position
from nanobana.protocol.errors import NanobanaError, NotAllowed, Unavailable
from nanobana.sdk.http import CanvasHttp, error_from_wire

BACKOFF = (0.1, 0.3, 1.0, 2.0, 5.0)
"""Seconds before each reconnect, jittered to 50–100 %; the last one repeats."""


@dataclass(slots=True)
class _Pending:
    encoded: bytes
    answer: "asyncio.Future[int]"


class Connection:
    """Keeps a canvas's socket alive until it is closed for good (close codes 4500–4999, R8).

    Args:
        position: asked before each hello; None joins afresh.
        receive: called with every server message, in order, on the event loop; what it returns is sent.
    """

    def __init__(
        self,
        http: CanvasHttp,
        client: str,
        *,
        position: Callable[[], Position | None],
        receive: Callable[[m.ServerMessage], m.ClientMessage | None],
    ) -> None:
        self._http = http
        self._client = client
        self._position = position
        self._receive = receive
        self._socket: ClientConnection | None = None
        self._pending: dict[OpId, _Pending] = {}
        self._welcomed = asyncio.Event()
        self._over: NanobanaError | None = None

    async def run(self) -> None:
        """Connect, read, reconnect. Returns when the server said that coming back is pointless."""
        failures = 0
        while self._over is None:
            least = 0.0
            try:
                failures = 0 if await self._session() else failures + 1
            except (NotAllowed, NanobanaError) as error:
                if not isinstance(error, Unavailable) and error.retry_ms is None:
                    self._end(error)
                    return
                failures += 1
                least = (error.retry_ms or 0) / 1000
            except (OSError, InvalidHandshake, InvalidMessage):
                failures += 1
            if self._over is None:
                wait = BACKOFF[min(failures, len(BACKOFF) - 1)]
                await asyncio.sleep(max(least, wait * random.uniform(0.5, 1.0)))

    async def ready(self) -> None:
        """Until the first welcome; raises what ended the connection instead."""
        await self._welcomed.wait()
        if self._over is not None:
            raise self._over

    async def send(self, message: m.Op) -> int:
        """Send an op, again after each reconnect, until it is answered.

        Returns:
            The seq at which it is durable.

        Raises:
            NanobanaError: the server's reject, by its code; one that carries `retry_ms` is tried again instead.
        """
        if self._over is not None:
            raise self._over
        waiting = _Pending(codec.encode(message), asyncio.get_running_loop().create_future())
        self._pending[message.op] = waiting
        try:
            while True:
                await self._transmit(waiting.encoded)
                try:
                    return await waiting.answer
                except NanobanaError as error:
                    if error.retry_ms is None or self._over is not None:
                        raise
                    await asyncio.sleep(error.retry_ms / 1000)
                    waiting.answer = asyncio.get_running_loop().create_future()
        finally:
            self._pending.pop(message.op, None)

    async def tell(self, message: m.Cursor | m.Stroke | m.Mask | m.Ping) -> None:
        """Send something volatile: lost while the connection is down."""
        await self._transmit(codec.encode(message))

    async def drop(self) -> None:
        """Cut the socket as a bad network would; the connection comes back by itself. For tests of resuming."""
        if self._socket is not None:
            self._socket.transport.abort()

    async def _transmit(self, encoded: bytes) -> None:
        if self._socket is not None and self._welcomed.is_set():
            with contextlib.suppress(ConnectionClosed):
                await self._socket.send(codec.join([encoded]))

    async def _session(self) -> bool:
        """One socket from hello to its end; whether it got as far as a welcome."""
        ticket = await self._http.authorise()
        welcomed = False
        async with connect(self._http.link.socket, max_size=None, compression=None, open_timeout=10) as socket:
            self._socket = socket
            try:
                hello = m.Hello(
                    protocol=PROTOCOL_VERSION, ticket=ticket.ticket, client=self._client, position=self._position()
                )
                await socket.send(codec.frame([hello]))
                async for data in socket:
                    for message in codec.read_server(data if isinstance(data, bytes) else data.encode()):
                        answer = self._dispatch(message)
                        if answer is not None:
                            await socket.send(codec.frame([answer]))
                        if isinstance(message, m.Welcome):
                            welcomed = True
                            await self._resend(socket)
            except ConnectionClosed:
                pass
            finally:
                self._socket = None
            code = socket.close_code or 1006
            if code >= 4500:
                self._end(error_from_wire("removed", f"the server closed the door: {socket.close_reason or code}"))
        return welcomed

    async def _resend(self, socket: ClientConnection) -> None:
        self._welcomed.set()
        for waiting in list(self._pending.values()):
            await socket.send(codec.join([waiting.encoded]))

    def _dispatch(self, message: m.ServerMessage) -> m.ClientMessage | None:
        if isinstance(message, m.Ack | m.Reject):
            waiting = self._pending.get(message.op)
            if waiting is not None and not waiting.answer.done():
                if isinstance(message, m.Ack):
                    waiting.answer.set_result(message.seq)
                else:
                    waiting.answer.set_exception(error_from_wire(message.code, message.message, message.retry_ms))
        return self._receive(message)

    def _end(self, error: NanobanaError) -> None:
        self._over = error
        self._welcomed.set()
        for waiting in self._pending.values():
            if not waiting.answer.done():
                waiting.answer.set_exception(error)
