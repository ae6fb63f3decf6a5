"""A member without an SDK: it says exactly what the test says, and sees every message and the close code."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import anyio
import httpx2 as httpx
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from nanobana.protocol import PROTOCOL_VERSION, codec
from nanobana.protocol import messages as m
from nanobana.protocol.canvas import OpId, Position
from nanobana.sdk.link import Link

PATIENCE_S = 15.0

_M = TypeVar("_M")


async def ticket_of(link: Link, **told: object) -> dict[str, Any]:
    """What POST …/tickets answers for a link."""
    async with httpx.AsyncClient(
        verify=False, timeout=PATIENCE_S
    ) as http:  # making a TLS context takes longer than the request
        answer = await http.post(f"{link.api}/tickets", json={"secret": link.secret, **told})
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


class RawMember:
    """One socket."""

    def __init__(self, socket: ClientConnection, client: str) -> None:
        self.socket = socket
        self.client = client
        self.seen: list[m.ServerMessage] = []
        self._ready: list[m.ServerMessage] = []
        self._n = 0

    def op(self) -> OpId:
        self._n += 1
        return OpId(self.client, self._n)

    async def send(self, *messages: m.ClientMessage) -> None:
        await self.socket.send(codec.frame(messages))

    async def send_raw(self, data: bytes | str) -> None:
        await self.socket.send(data)

    async def next(self) -> m.ServerMessage:
        """The next message; raises ConnectionClosed."""
        while not self._ready:
            with anyio.fail_after(PATIENCE_S):
                data = await self.socket.recv()
            assert isinstance(data, bytes)
            self._ready = codec.read_server(data)
            self.seen += self._ready
        return self._ready.pop(0)

    async def until(self, kind: type[_M], holds: Callable[[_M], bool] = lambda _: True) -> _M:
        """The next message of a kind for which something holds; others are passed over."""
        with anyio.fail_after(PATIENCE_S):
            while True:
                message = await self.next()
                if isinstance(message, kind) and holds(message):
                    return message

    async def answer(self, op: OpId) -> m.Ack | m.Reject:
        """The answer to an op."""
        with anyio.fail_after(PATIENCE_S):
            while True:
                message = await self.next()
                if isinstance(message, m.Ack | m.Reject) and message.op == op:
                    return message

    async def do(self, message: m.Op) -> m.Ack:
        """Send an op that must be taken."""
        await self.send(message)
        answer = await self.answer(message.op)
        assert isinstance(answer, m.Ack), answer
        return answer

    async def refused(self, message: m.Op) -> m.Reject:
        """Send an op that must be refused."""
        await self.send(message)
        answer = await self.answer(message.op)
        assert isinstance(answer, m.Reject), answer
        return answer

    async def closed(self) -> int:
        """The code with which the server closes the socket."""
        with anyio.fail_after(PATIENCE_S):
            try:
                while True:
                    await self.next()
            except ConnectionClosed:
                return self.socket.close_code or 0


@asynccontextmanager
async def socket_of(link: Link, **options: Any) -> AsyncIterator[ClientConnection]:
    """An open socket of a canvas that has said nothing yet."""
    async with connect(link.socket, max_size=None, compression=None, **options) as socket:
        yield socket


@asynccontextmanager
async def member(
    link: Link, *, position: Position | None = None, client: str | None = None, **told: object
) -> AsyncIterator[tuple[RawMember, m.Welcome]]:
    """Somebody who has joined, and the welcome."""
    ticket = await ticket_of(link, **told)
    async with socket_of(link) as socket:
        raw = RawMember(socket, client or secrets.token_urlsafe(6))
        await raw.send(
            m.Hello(protocol=PROTOCOL_VERSION, ticket=ticket["ticket"], client=raw.client, position=position)
        )
        yield raw, await raw.until(m.Welcome)
