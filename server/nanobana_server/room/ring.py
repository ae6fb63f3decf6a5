"""The newest entries of one canvas's log, encoded once for everybody (R4, R6)."""

from collections import deque
from collections.abc import Iterator, Sequence
from itertools import islice

import msgspec

from nanobana.protocol.canvas import Change
from nanobana.protocol.messages import Changed

_HEAD = b"\x82\xa1t\xa6change\xa6change"
"""The msgpack of `Changed` up to its change: the log's own bytes follow unchanged."""

_decoder = msgspec.msgpack.Decoder(Change)


def changed(entry: bytes) -> bytes:
    """The encoded `Changed` message of a log entry."""
    return _HEAD + entry


class Ring:
    """Entries `floor + 1 … head`; older ones are forgotten, and a reader that needs them goes to the log.

    Args:
        seq: the log's head when reading begins.
        max_entries, max_bytes: what is kept; the newest entry is always kept.
    """

    def __init__(self, seq: int, *, max_entries: int = 2048, max_bytes: int = 1 << 20) -> None:
        self._entries: deque[bytes] = deque()
        self._bytes = 0
        self._max_entries = max_entries
        self._max_bytes = max_bytes
        self.floor = seq
        self.head = seq

    def append(self, seq: int, entry: bytes) -> None:
        """Add the log entry `seq`, which must be the one after `head`; earlier ones are known already and ignored.

        Raises:
            ValueError: a gap (R9): the reader must fill it from the log first.
        """
        if seq <= self.head:
            return
        if seq != self.head + 1:
            raise ValueError(f"entry {seq} after {self.head}: entries between are missing")
        encoded = changed(entry)
        self._entries.append(encoded)
        self._bytes += len(encoded)
        self.head = seq
        while len(self._entries) > 1 and (len(self._entries) > self._max_entries or self._bytes > self._max_bytes):
            self._bytes -= len(self._entries.popleft())
            self.floor += 1

    def covers(self, seq: int) -> bool:
        """Whether a reader that has everything up to `seq` can go on from here."""
        return self.floor <= seq <= self.head

    def after(self, seq: int, max_bytes: int) -> list[bytes]:
        """The messages after `seq`, at least one and not much more than `max_bytes`; nothing at the head."""
        taken: list[bytes] = []
        size = 0
        for encoded in self._from(seq):
            taken.append(encoded)
            size += len(encoded)
            if size >= max_bytes:
                break
        return taken

    def _from(self, seq: int) -> Iterator[bytes]:
        return islice(self._entries, seq - self.floor, None)


def conflate(messages: Sequence[bytes]) -> list[bytes]:
    """The same changes without tile versions that a later one of them replaces (R4).

    Seqs, ops, layers and jobs stay: a reader that was asleep fetches only the newest version of each tile.
    """
    changes = [_decoder.decode(message[len(_HEAD) :]) for message in messages]
    seen: set[tuple[str, int, int]] = set()
    kept: list[bytes] = []
    for change, message in zip(reversed(changes), reversed(messages), strict=True):
        newest = [tile for tile in change.tiles if (tile.layer, tile.tx, tile.ty) not in seen]
        seen.update((tile.layer, tile.tx, tile.ty) for tile in newest)
        if len(newest) < len(change.tiles):
            message = msgspec.msgpack.encode(Changed(change=msgspec.structs.replace(change, tiles=newest)))
        kept.append(message)
    kept.reverse()
    return kept
