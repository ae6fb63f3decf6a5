"""Cuts what a socket received into whole WebSocket frames, and opens those that need no state (RFC 6455 §5.2)."""

from collections.abc import Iterator

from nanobana.protocol.messages import MAX_FRAME

try:
    from websockets.speedups import apply_mask
except ImportError:  # built without its C part, which takes a tenth of the time
    from websockets.utils import apply_mask

_BINARY_FINAL = 0x82
_MASKED = 0x80


class Framing:
    """Hands frames on whole, so that the protocol core behind it always stands between two of them.

    Anything that is not a plain frame of a client (reserved bits, no mask, above MAX_FRAME) ends the cutting: from
    there on the core gets everything as it comes, and finds the fault itself.

    Args:
        whole: the stream begins with a frame; otherwise nothing is cut.
    """

    def __init__(self, *, whole: bool) -> None:
        self._rest = b""
        self._cuts = whole
        self._is_fragmented = False

    def feed(self, data: bytes) -> Iterator[tuple[bytes, bytes | None]]:
        """Each frame that is complete by now: its bytes, and its payload where it is a whole binary message."""
        if not self._cuts:
            yield data, None
            return
        if self._rest:
            data = self._rest + data
            self._rest = b""
        at, end = 0, len(data)
        while end - at >= 2:
            first, second = data[at], data[at + 1]
            size = second & 0x7F
            head = 6 if size < 126 else 8 if size == 126 else 14
            if first & 0x70 or not second & _MASKED:
                yield self._give_up(data[at:])
                return
            if end - at < head:
                break
            if size >= 126:
                size = int.from_bytes(data[at + 2 : at + head - 4], "big")
            if size > MAX_FRAME:
                yield self._give_up(data[at:])
                return
            until = at + head + size
            if until > end:
                break
            frame = data[at:until] if at or until < end else data
            yield frame, self._opened(frame, first, head)
            at = until
        if at < end:
            self._rest = data[at:]

    def _opened(self, frame: bytes, first: int, head: int) -> bytes | None:
        """The payload of a binary message in one frame."""
        if first == _BINARY_FINAL and not self._is_fragmented:
            return apply_mask(frame[head:], frame[head - 4 : head])
        if not first & 0x08:  # not a control frame: those may come in the midst of a message
            self._is_fragmented = not first & 0x80
        return None

    def _give_up(self, rest: bytes) -> tuple[bytes, None]:
        self._cuts = False
        return rest, None
