"""Who is in a room, on this server and on others (R7)."""

from collections import deque
from collections.abc import Iterable

from nanobana.protocol import codec
from nanobana.protocol import messages as m
from nanobana_server.room.board import Board


class Presence:
    """The members of one canvas, as this server knows them; every change goes on the board."""

    def __init__(self, board: Board) -> None:
        self._board = board
        self._here: dict[str, m.Member] = {}
        self._elsewhere: dict[str, m.Member] = {}
        self._left: deque[str] = deque(maxlen=256)

    @property
    def everybody(self) -> list[m.Member]:
        return [*self._here.values(), *self._elsewhere.values()]

    @property
    def here(self) -> list[m.Member]:
        return list(self._here.values())

    @property
    def is_shared(self) -> bool:
        """Other servers have members here: they need our volatile traffic."""
        return bool(self._elsewhere)

    def join(self, member: m.Member) -> None:
        self._elsewhere.pop(member.id, None)  # the store may have told of it before its session took the seat
        self._here[member.id] = member
        self._board.event(codec.encode(m.Joined(member=member)))

    def leave(self, member: str) -> None:
        if self._here.pop(member, None) is not None:
            self._left.append(member)
            self._gone(member)

    def heard_join(self, member: m.Member) -> None:
        """Another server says so."""
        if member.id not in self._here and member.id not in self._left and self._elsewhere.get(member.id) != member:
            self._elsewhere[member.id] = member
            self._board.event(codec.encode(m.Joined(member=member)))

    def heard_leave(self, member: str) -> None:
        if self._elsewhere.pop(member, None) is not None:
            self._gone(member)

    def reconcile(self, everybody: Iterable[m.Member]) -> None:
        """Take over what the store says of other servers: messages about comings and goings may have been lost.

        What it says of this server is older than what we know: a member that has just left may still be in it.
        """
        now = {member.id: member for member in everybody if member.id not in self._here}
        for member in list(self._elsewhere):
            if member not in now:
                self.heard_leave(member)
        for joined in now.values():
            self.heard_join(joined)

    def _gone(self, member: str) -> None:
        self._board.leave(member)
        self._board.event(codec.encode(m.Left(id=member)))
