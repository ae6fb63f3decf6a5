"""A load generator on one core: sockets that send small messages and count every one that comes back, by bytes."""

from __future__ import annotations

import asyncio
import base64
import os
import struct
import time
from collections.abc import Callable
from functools import partial
from typing import Protocol

import msgspec

from nanobana.protocol import codec
from nanobana.protocol import messages as m

SIZE = 64
"""Bytes of a peer's message; ours is a stroke of about as many."""

_raws = msgspec.msgpack.Decoder(list[msgspec.Raw])
_TAG = b"member_stroke"


class Dialect(Protocol):
    """How one kind of server is spoken to."""

    def hello(self) -> list[bytes]:
        """Payloads that a member sends first."""
        ...

    def message(self) -> bytes:
        """A payload that carries the time at which it was made."""
        ...

    def arrived(self, payload: bytes, times: list[float] | None) -> int:
        """How many messages are in a payload that came; the times that they carry are put into `times`."""
        ...


class Relay:
    """The ws peers: bare messages, several in one frame where the peer ticks."""

    def hello(self) -> list[bytes]:
        return []

    def message(self) -> bytes:
        return struct.pack("<d", time.perf_counter()).ljust(SIZE, b"x")

    def arrived(self, payload: bytes, times: list[float] | None) -> int:
        if times is not None:
            times += [struct.unpack_from("<d", payload, at)[0] for at in range(0, len(payload), SIZE)]
        return len(payload) // SIZE


class Hocuspocus:
    """Stateless messages of one document; the opcodes are those of @hocuspocus/server's MessageType."""

    _DOCUMENT = b"\x04room"
    _AUTH, _STATELESS = b"\x02", b"\x05"

    def hello(self) -> list[bytes]:
        return [self._DOCUMENT + self._AUTH + b"\x00" + b"\x01t"]

    def message(self) -> bytes:
        text = f"{time.perf_counter():.9f}".ljust(SIZE - 8, "x").encode()
        return self._DOCUMENT + self._STATELESS + bytes([len(text)]) + text

    def arrived(self, payload: bytes, times: list[float] | None) -> int:
        if payload[5:6] != self._STATELESS:
            return 0
        if times is not None:
            times.append(float(payload[7:].rstrip(b"x")))
        return 1


class Ours:
    """Strokes in progress through a real session."""

    def __init__(self, hello: m.Hello) -> None:
        self._hello = hello

    def hello(self) -> list[bytes]:
        return [codec.frame([self._hello])]

    def message(self) -> bytes:
        return codec.frame([m.Stroke(id="s", kind="paint", points=[time.perf_counter(), 2.0, 0.5])])

    def arrived(self, payload: bytes, times: list[float] | None) -> int:
        if times is None:
            return sum(_TAG in bytes(raw) for raw in _raws.decode(payload))
        strokes = [each for each in codec.read_server(payload) if isinstance(each, m.MemberStroke)]
        times += [stroke.stroke.points[0] for stroke in strokes]
        return len(strokes)


class Member(asyncio.Protocol):
    """One socket. Frames are read by their headers alone, so that counting costs the generator little.

    Args:
        path: of the WebSocket.
        samples: seconds from sending to arrival are put here; None only counts.
    """

    def __init__(self, path: str, dialect: Dialect, samples: list[float] | None) -> None:
        self.count = 0
        self.ready = asyncio.Event()
        self._path, self._dialect, self._samples = path, dialect, samples
        self._data = bytearray()
        self._is_open = False
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        key = base64.b64encode(os.urandom(16)).decode()
        transport.write(
            f"GET {self._path} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )

    def data_received(self, data: bytes) -> None:
        self._data += data
        if not self._is_open:
            end = self._data.find(b"\r\n\r\n")
            if end < 0:
                return
            if not self._data.startswith(b"HTTP/1.1 101"):
                raise RuntimeError(bytes(self._data[:200]))
            del self._data[: end + 4]
            self._is_open = True
            for payload in self._dialect.hello():
                self._write(payload)
            self.ready.set()
        self._read_frames()

    def _read_frames(self) -> None:
        """Server frames are not masked (RFC 6455, 5.1); ours and the peers' are never fragmented."""
        data, at, end = self._data, 0, len(self._data)
        while at + 2 <= end:
            size, head = data[at + 1], 2
            if size == 126:
                if at + 4 > end:
                    break
                size, head = int.from_bytes(data[at + 2 : at + 4], "big"), 4
            elif size == 127:
                if at + 10 > end:
                    break
                size, head = int.from_bytes(data[at + 2 : at + 10], "big"), 10
            if at + head + size > end:
                break
            kind = data[at] & 0x0F
            if kind in (1, 2):
                self._arrived(bytes(data[at + head : at + head + size]))
            elif kind == 9:
                self._write(bytes(data[at + head : at + head + size]), 0x8A)  # a pong, or the server would close us
            at += head + size
        del data[:at]

    def _arrived(self, payload: bytes) -> None:
        if self._samples is None:
            self.count += self._dialect.arrived(payload, None)
            return
        times: list[float] = []
        self.count += self._dialect.arrived(payload, times)
        now = time.perf_counter()
        self._samples += [now - sent for sent in times]

    def send(self) -> None:
        self._write(self._dialect.message())

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def _write(self, payload: bytes, kind: int = 0x82) -> None:
        """One masked frame; the mask is zero, which the protocol allows and costs nothing."""
        assert self._transport is not None
        size = len(payload)
        head = bytes([kind, 0x80 | size]) if size < 126 else b"\x82\xfe" + size.to_bytes(2, "big")
        self._transport.write(head + b"\0\0\0\0" + payload)


async def talk(
    port: int,
    paths: list[str],
    dialects: list[Dialect],
    senders: int,
    rate: float,
    seconds: float,
    cpu: Callable[[], float],
) -> dict[str, float]:
    """Members who talk for `seconds`, and what the server's CPU bought: every message is counted at every member.

    Args:
        senders: so many of the members send, `rate` messages a second in all.
        cpu: CPU seconds that the server has used so far.
    """
    loop = asyncio.get_running_loop()
    samples: list[float] = []
    members: list[Member] = []
    for n, (path, dialect) in enumerate(zip(paths, dialects, strict=True)):
        kept = samples if n % 10 == 0 else None
        _, member = await loop.create_connection(partial(Member, path, dialect, kept), "127.0.0.1", port)
        members.append(member)
        await member.ready.wait()
    await asyncio.sleep(1.0)
    try:
        await _send(members[:senders], rate, 1.0)
        await asyncio.sleep(0.3)
        samples.clear()
        before, used, began = sum(member.count for member in members), cpu(), time.perf_counter()
        sent = await _send(members[:senders], rate, seconds)
        took = time.perf_counter() - began
        await asyncio.sleep(0.5)  # what is under way arrives; it is counted and its CPU too
        used, got = cpu() - used, sum(member.count for member in members) - before
    finally:
        for member in members:
            member.close()
    waits = sorted(samples) or [float("nan")]
    return {
        "sent": sent,
        "delivered": got,
        "missing": sent * len(members) - got,
        "kept_up": sent / (rate * seconds),
        "cpu_us": used / max(1, got) * 1e6,
        "cpu_share": used / took,
        "p50_ms": waits[len(waits) // 2] * 1e3,
        "p99_ms": waits[int(len(waits) * 0.99)] * 1e3,
    }


async def _send(senders: list[Member], rate: float, seconds: float) -> int:
    """At an even pace, catching up where the loop was late."""
    began, sent = time.perf_counter(), 0
    while (now := time.perf_counter() - began) < seconds:
        while sent < now * rate:
            senders[sent % len(senders)].send()
            sent += 1
        await asyncio.sleep(min(0.004, 1 / rate))
    return sent
