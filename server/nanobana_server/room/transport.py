"""uvicorn's WebSocket protocol with two doors: for direct writes, and for small messages that need no task to be read.

ASGI's `send` costs a task switch and a frame encoding per member and message, gives no way to ask whether the socket
has drained, and its `close` waits behind a stalled reader's buffer; its `receive` costs a queue, a task switch and two
calls to the poller for each message. A session gets this protocol object itself, by the scope's extension
`nanobana.wire`.
"""

import asyncio
import socket
from typing import Any, cast

from starlette.websockets import WebSocket, WebSocketDisconnect
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.exceptions import InvalidState

from nanobana.protocol.errors import BadInput
from nanobana_server.room.frames import Framing
from nanobana_server.room.wire import Gone, Sink

EXTENSION = "nanobana.wire"

UNSENT_BYTES = 128 * 1024
"""The kernel takes no more than this beyond what the peer's window allows, so that a stalled reader holds little."""

BUFFERED_BYTES = 64 * 1024
"""A socket is clear while the process itself holds less than this for it."""

GRACE_S = 2.0
"""Between the close frame and cutting a socket whose peer reads nothing."""

_NOTSENT_LOWAT = getattr(socket, "TCP_NOTSENT_LOWAT", None)


def bound_unsent(listener: socket.socket) -> None:
    """Set `UNSENT_BYTES` on a listening socket; the sockets that it accepts inherit it. Nothing on a unix socket."""
    if _NOTSENT_LOWAT is not None and listener.family in (socket.AF_INET, socket.AF_INET6):
        listener.setsockopt(socket.IPPROTO_TCP, _NOTSENT_LOWAT, UNSENT_BYTES)


class DirectProtocol(WebSocketsSansIOProtocol):
    """Also a `Wire`'s lower half: write, drained, end, and a sink that takes what can be dealt with at once."""

    sink: Sink | None = None
    """Offered each whole binary frame while nothing that came before it waits; what it does not take is received."""
    is_awaited = False
    """The reader waits for the next frame: everything before it was dealt with."""
    _framing: Framing | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.transport.set_write_buffer_limits(high=BUFFERED_BYTES)

    def data_received(self, data: bytes) -> None:
        if self._framing is None:
            super().data_received(data)
            if self.handshake_initiated:  # a client that speaks before it was answered is read by the core alone
                self._framing = Framing(whole=data.endswith(b"\r\n\r\n"))
            return
        for frame, payload in self._framing.feed(data):
            if payload is None or not self._taken(payload):
                super().data_received(frame)

    def _taken(self, payload: bytes) -> bool:
        """Whether the sink dealt with a binary message."""
        if self.sink is None or not self.is_awaited or self.close_sent or not self.queue.empty():
            return False
        pause = self.sink(payload)
        if pause is None:
            return False
        if pause > 0.0 and not self.read_paused:
            self.transport.pause_reading()
            self.loop.call_later(pause, self._go_on_reading)
        return True

    def _go_on_reading(self) -> None:
        if not self.read_paused and not self.transport.is_closing():
            self.transport.resume_reading()

    async def run_asgi(self) -> None:
        cast(dict[str, Any], self.scope["extensions"])[EXTENSION] = self
        await super().run_asgi()

    @property
    def is_clear(self) -> bool:
        return self.writable.is_set()

    @property
    def is_over(self) -> bool:
        return self.disconnected or self.close_sent or self.transport.is_closing()

    def write_frame(self, frame: bytes) -> None:
        """A whole frame, past the sans-I/O core: it keeps no state about unmasked data frames without extensions."""
        self.transport.write(frame)

    def end(self, code: int, reason: str) -> None:
        """Queue a close frame behind what the transport holds, and cut the socket if that does not drain."""
        if self.is_over:
            return
        self.stop_keepalive()
        try:
            self.conn.send_close(code, reason)
        except InvalidState:
            self.transport.abort()
            return
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        self.queue.put_nowait({"type": "websocket.disconnect", "code": code, "reason": reason})
        if self.read_paused:
            self.read_paused = False
            self.transport.resume_reading()
        self.close_timer = self.loop.call_later(GRACE_S, self.transport.abort)


class SocketWire:
    """The `Wire` of an accepted socket of a server that runs `DirectProtocol`."""

    def __init__(self, websocket: WebSocket) -> None:
        self._websocket = websocket
        self._protocol: DirectProtocol = websocket.scope["extensions"][EXTENSION]

    @property
    def is_clear(self) -> bool:
        return self._protocol.is_clear

    def write(self, frame: bytes) -> None:
        if self._protocol.is_over:
            raise Gone
        self._protocol.write_frame(frame)

    async def drained(self) -> None:
        await self._protocol.writable.wait()
        if self._protocol.is_over:
            raise Gone

    def offer(self, sink: Sink) -> None:
        self._protocol.sink = sink

    async def read(self) -> bytes:
        self._protocol.is_awaited = True
        try:
            message: Any = await self._websocket.receive()
        except (WebSocketDisconnect, RuntimeError) as error:
            raise Gone from error
        finally:
            self._protocol.is_awaited = False
        if message["type"] == "websocket.disconnect":
            raise Gone
        data: bytes | None = message.get("bytes")
        if data is None:
            raise BadInput("frames are binary msgpack, not text", code="bad_frame")
        return data

    def end(self, code: int, reason: str) -> None:
        self._protocol.end(code, reason)
