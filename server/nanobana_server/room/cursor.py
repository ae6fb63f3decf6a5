"""Where a reader stands in a room, and the frames that take it forward (R4)."""

from collections.abc import Callable
from typing import NamedTuple

from nanobana_server.room.board import Board
from nanobana_server.room.pace import Pace
from nanobana_server.room.ring import Ring, conflate
from nanobana_server.room.wire import framed_messages


class Cursor(NamedTuple):
    """All that a session costs while its reader sleeps."""

    generation: int
    """Which life of the log it read: a new one begins when the epoch rises (C4)."""
    seq: int
    turn: int
    """Of the board; 0 for a newcomer."""


class Step(NamedTuple):
    """One frame, ready for the socket, and where its reader stands afterwards."""

    frame: bytes
    until: Cursor


class Void(Exception):
    """The reader's position is of no use any more: it needs a manifest."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Frames:
    """Makes each frame once per turn, however many readers stand at the same place.

    Readers see the log up to `show`'s last call, so that they keep standing at the same places and share frames.
    """

    def __init__(self, ring: Ring, board: Board, pace: Pace, made: Callable[[int], None]) -> None:
        """`made` is told the size of each frame that had to be made."""
        self.generation = 1
        self._ring = ring
        self._board = board
        self._pace = pace
        self._made = made
        self._shown = ring.head
        self._steps: dict[Cursor, Step | None] = {}

    def restart(self, ring: Ring) -> None:
        """Begin a new life of the log: every cursor of the old one is void."""
        self.generation += 1
        self._ring = ring
        self._shown = ring.head
        self._steps.clear()

    def show(self) -> None:
        """Let the readers see what has come since the last call."""
        self._shown = self._ring.head
        self._board.advance()
        self._steps.clear()

    def newcomer(self, seq: int) -> Cursor:
        """The cursor of a reader that has the log up to `seq` and nothing of the board."""
        return Cursor(self.generation, seq, 0)

    def covers(self, seq: int) -> bool:
        return self._ring.floor <= seq

    def step(self, cursor: Cursor) -> Step | None:
        """The next frame for a reader, None when it has everything.

        Raises:
            Void: the epoch rose or the reader is farther behind than the ring reaches.
            TooFarBehind: the board cannot bring it up to date.
        """
        if cursor.generation != self.generation:
            raise Void("the canvas was restored or the store lost its last changes")
        if cursor.seq < self._ring.floor:
            raise Void("the reader fell too far behind")
        if cursor not in self._steps:
            self._steps[cursor] = self._make(cursor)
        return self._steps[cursor]

    def _make(self, cursor: Cursor) -> Step | None:
        behind = self._shown - cursor.seq
        entries = self._ring.after(cursor.seq, self._pace.frame_bytes)[:behind] if behind > 0 else []
        seq = cursor.seq + len(entries)
        if len(entries) > self._pace.conflate_above:
            entries = conflate(entries)
        shown, turn = self._board.after(cursor.turn, self._pace.frame_bytes)
        parts = entries + shown
        until = Cursor(cursor.generation, seq, turn)
        if not parts:
            return None if until == cursor else Step(b"", until)
        frame = framed_messages(parts)
        self._made(len(frame))
        return Step(frame, until)
