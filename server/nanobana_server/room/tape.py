"""What members ask of a canvas and are answered, for a flight recorder that listens; nothing where none does."""

from collections import deque
from collections.abc import Callable

import anyio
import msgspec

from nanobana.protocol import codec
from nanobana.protocol import messages as m

HEARD_S = 10.0
"""A recorder says more often than this that it is there."""

WAITING = 1024
"""Most that waits to be published; a recorder that misses something has the outcome from the log all the same."""


class Asked(msgspec.Struct, frozen=True, kw_only=True, tag="asked"):
    """One op of a member and its answer."""

    member: m.Member
    message: bytes
    """The op as it came, encoded."""
    after: int
    """Seq of the log when it was answered, as far as this server had read it."""
    seq: int | None = None
    code: str = ""
    """Why it was refused; then there is no seq."""
    again: bool = False
    """It was done before, maybe asked by another connection, and this is the first answer again (C6)."""


class Told(msgspec.Struct, frozen=True, kw_only=True, tag="told"):
    """This server has told all that it was asked before it heard a recorder's mark."""

    mark: bytes


class Tape:
    """Of one open canvas.

    Args:
        clock: monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._until = 0.0
        self._asked: deque[Asked | Told] = deque(maxlen=WAITING)
        self._filled = anyio.Event()

    def wanted(self, mark: bytes) -> None:
        """A recorder is there, and hears its mark again behind everything that was noted before."""
        self._until = self._clock() + HEARD_S
        self._asked.append(Told(mark=mark))
        self._filled.set()

    def note(self, member: m.Member, op: m.Op, answer: m.Ack | m.Reject, after: int, *, again: bool) -> None:
        """An op was answered."""
        if self._clock() >= self._until:
            return
        seq, code = (answer.seq, "") if isinstance(answer, m.Ack) else (None, answer.code)
        asked = Asked(member=member, message=codec.encode(op), after=after, seq=seq, code=code, again=again)
        self._asked.append(asked)
        self._filled.set()

    async def take(self) -> list[Asked | Told]:
        """What was noted since; waits until there is something."""
        await self._filled.wait()
        self._filled = anyio.Event()
        taken = list(self._asked)
        self._asked.clear()
        return taken
