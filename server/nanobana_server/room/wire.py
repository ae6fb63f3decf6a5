"""A member's socket as a session sees it, and the WebSocket framing that all members share (R4, R6)."""

from collections.abc import Callable
from typing import Protocol

from nanobana.protocol import codec

_BINARY_FINAL = 0x82


def framed(payload: bytes) -> bytes:
    """A whole unmasked binary WebSocket frame (RFC 6455 §5.2): made once, the same object for every member."""
    size = len(payload)
    if size < 126:
        head = bytes((_BINARY_FINAL, size))
    elif size < 65536:
        head = bytes((_BINARY_FINAL, 126)) + size.to_bytes(2, "big")
    else:
        head = bytes((_BINARY_FINAL, 127)) + size.to_bytes(8, "big")
    return head + payload


def framed_messages(encoded: list[bytes]) -> bytes:
    """One tick's frame (R1) from messages that are encoded already."""
    return framed(codec.join(encoded))


class Gone(Exception):
    """The socket is closed; there is nobody to write to."""


Sink = Callable[[bytes], float | None]
"""Takes a frame at once: the seconds for which no more should be read, or None where it must be read in turn."""


class Wire(Protocol):
    """What a session needs of a socket."""

    def offer(self, sink: Sink) -> None:
        """Frames that come while `read` is waited for are offered to the sink first."""
        ...

    @property
    def is_clear(self) -> bool:
        """What was written before has drained below the transport's mark: more may be written."""
        ...

    def write(self, frame: bytes) -> None:
        """Hand a whole frame to the transport; never waits. Only while `is_clear`, so that little is ever held.

        Raises:
            Gone: the socket is closed.
        """
        ...

    async def drained(self) -> None:
        """Return once `is_clear`.

        Raises:
            Gone: the socket is closed.
        """
        ...

    async def read(self) -> bytes:
        """The next frame from the client.

        Raises:
            Gone: the socket is closed.
            BadInput: a text frame.
        """
        ...

    def end(self, code: int, reason: str) -> None:
        """Say why (R8) and close; a peer that does not even take that is cut off a moment later. Never waits."""
        ...
