"""What is shown in a room without being durable: cursors, strokes, masks, previews, who is there (R3, R6).

Everything on the board carries the number of the turn in which it changed, so that a reader needs one integer to know
what it has not seen, however long it slept.
"""

from collections import OrderedDict, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import takewhile

from nanobana.protocol import codec
from nanobana.protocol import messages as m
from nanobana_server.room.masks import Masks

_EVENTS = 1024
_STROKES = 1024
_ENDED = 256


class TooFarBehind(Exception):
    """More members came and went than the board remembers: this reader must join again."""


@dataclass(slots=True)
class _Progress:
    """Previews of one variation of one job: the first carries the mask's alpha, then only the newest counts."""

    first_turn: int
    first: bytes
    turn: int
    latest: bytes


class Board:
    """Volatile and latest-only state of one room, once encoded.

    `turn` is the newest finished turn; what is put on the board belongs to the next one and is shown by `advance`.
    """

    def __init__(self) -> None:
        self.turn = 1
        self._dirty = False
        self._previews: dict[tuple[str, int], _Progress] = {}
        self._masks = Masks()
        self._cursors: dict[str, tuple[int, float | None, float | None]] = {}
        self._strokes: deque[tuple[int, bytes]] = deque(maxlen=_STROKES)
        self._events: deque[tuple[int, bytes]] = deque()
        self._forgotten_turn = 0
        self._single: dict[str, tuple[int, bytes]] = {}
        self._ended_jobs: OrderedDict[str, None] = OrderedDict()

    @property
    def is_dirty(self) -> bool:
        """Something waits for the next turn."""
        return self._dirty

    def advance(self) -> None:
        """Finish the turn: what was put since the last one may be shown."""
        if self._dirty:
            self.turn += 1
            self._dirty = False

    def _next(self) -> int:
        self._dirty = True
        return self.turn + 1

    def preview(self, message: m.Preview, encoded: bytes) -> None:
        """The newest progress of a job; replaces the one before (R3). Too late after `forget_job`."""
        if message.job in self._ended_jobs:
            return
        key = (message.job, message.variation)
        turn = self._next()
        known = self._previews.get(key)
        if known is None or message.alpha is not None:
            self._previews[key] = _Progress(turn, encoded, turn, encoded)
        else:
            known.turn, known.latest = turn, encoded

    def forget_job(self, job: str) -> None:
        """No more previews of a job that is staged or over."""
        for key in [key for key in self._previews if key[0] == job]:
            del self._previews[key]
        self._ended_jobs[job] = None
        if len(self._ended_jobs) > _ENDED:
            self._ended_jobs.popitem(last=False)

    def mask(self, mask: m.MemberMask) -> None:
        """A tile of a member's mask, or the end of it; newcomers get what stands."""
        self._masks.put(self._next(), mask)

    def masks(self) -> list[m.MemberMask]:
        """The tiles of masks that stand on the board."""
        return list(self._masks.visible())

    def cursor(self, member: str, x: float | None, y: float | None) -> None:
        self._cursors[member] = (self._next(), x, y)

    def stroke(self, encoded: bytes) -> None:
        """Points of a stroke in progress, or progress of an import: the oldest are dropped when there are too many."""
        self._strokes.append((self._next(), encoded))

    def event(self, encoded: bytes) -> None:
        """Somebody came or left: must not be missed, so a reader that would miss one is `TooFarBehind`."""
        self._events.append((self._next(), encoded))
        if len(self._events) > _EVENTS:
            self._forgotten_turn = self._events.popleft()[0]

    def single(self, subject: str, encoded: bytes) -> None:
        """The one current statement on a subject, e.g. how many engines there are."""
        self._single[subject] = (self._next(), encoded)

    def leave(self, member: str) -> None:
        """Wipe a member's cursor and mask; `event` tells the others."""
        self._cursors.pop(member, None)
        self._masks.forget(member)

    def after(self, turn: int, max_bytes: int) -> tuple[list[bytes], int]:
        """What was shown after `turn`, oldest turns first where it is more than about `max_bytes`.

        Args:
            turn: 0 for a newcomer, who gets what stands now and no past events or strokes.

        Returns:
            Encoded messages, and the turn up to which they go.

        Raises:
            TooFarBehind: comings and goings since `turn` are forgotten.
        """
        if 0 < turn < self._forgotten_turn:
            raise TooFarBehind
        shown = [item for item in self._standing(turn) if turn < item[0] <= self.turn]
        until = self.turn
        if sum(len(encoded) for _, encoded in shown) > max_bytes:
            shown.sort(key=lambda item: item[0])
            until = _cut(shown, max_bytes)
        rows = [(member, x, y) for member, (at, x, y) in self._cursors.items() if turn < at <= until]
        messages = [encoded for at, encoded in shown if at <= until]
        if rows:
            messages.append(codec.encode(m.Cursors(rows=rows)))
        return messages, until

    def _standing(self, turn: int) -> Iterator[tuple[int, bytes]]:
        """Everything on the board but cursors, with its turn; events first, for others speak of their members."""
        if turn:
            yield from _since(turn, self._events)
        yield from self._single.values()
        for progress in self._previews.values():
            yield progress.first_turn, progress.first
            if progress.latest is not progress.first:
                yield progress.turn, progress.latest
        yield from self._masks.standing()
        if turn:
            yield from _since(turn, self._strokes)


def _since(turn: int, items: deque[tuple[int, bytes]]) -> list[tuple[int, bytes]]:
    """Those after a turn, in order; sought from the newest back, for most readers miss only the last few."""
    newer = list(takewhile(lambda item: item[0] > turn, reversed(items)))
    newer.reverse()
    return newer


def _cut(shown: Sequence[tuple[int, bytes]], max_bytes: int) -> int:
    """The last turn that fits, the first one in any case; items are in order of turns."""
    until, size = shown[0][0], 0
    for at, encoded in shown:
        size += len(encoded)
        if size > max_bytes and at > until:
            return until
        until = at
    return until
