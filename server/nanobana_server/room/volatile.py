"""Cursors, words, strokes and masks between two turns: merged, so that a turn carries each thing once (R3, R6)."""

import msgspec

from nanobana.protocol import codec
from nanobana.protocol import messages as m
from nanobana_server.room.board import Board
from nanobana_server.room.masks import Tile

MAX_STROKES = 1024
"""Between two turns; the rest is dropped."""

MAX_MASK_BYTES = 256 * 1024
"""In one turn, about."""

MAX_MASK_TILES = 128
"""In one turn."""

Word = m.Chat | m.Look | m.Moving


class Volatile:
    """What local members showed since the last turn that carried volatile traffic."""

    def __init__(self) -> None:
        self._cursors: dict[str, tuple[float | None, float | None]] = {}
        self._masks: dict[tuple[str, Tile | None], m.MemberMask] = {}
        self._strokes: list[m.MemberStroke] = []
        self._words: dict[tuple[str, type[Word]], m.MemberChat | m.MemberLook | m.MemberMoving] = {}

    @property
    def is_empty(self) -> bool:
        return not (self._cursors or self._masks or self._strokes or self._words)

    def cursor(self, member: str, cursor: m.Cursor) -> None:
        self._cursors[member] = (cursor.x, cursor.y)

    def mask(self, member: str, mask: m.Mask) -> None:
        """A tile waits in the place of its older self; the end of a mask makes its tiles that wait superfluous."""
        if mask.tile is None:
            self._drop_masks(member)
        self._masks[member, mask.tile] = m.MemberMask(member=member, tile=mask.tile, png=mask.png)

    def repeat(self, mask: m.MemberMask) -> None:
        """A tile that stands on the board, for a server that has just opened this canvas; what is newer goes first."""
        if (mask.member, None) not in self._masks:
            self._masks.setdefault((mask.member, mask.tile), mask)

    def stroke(self, member: str, stroke: m.Stroke) -> None:
        """The end of a stroke always finds room, so that no half stroke stays on other screens."""
        if len(self._strokes) < MAX_STROKES or stroke.done:
            self._strokes.append(m.MemberStroke(member=member, stroke=stroke))

    def word(self, member: str, word: Word) -> None:
        """What a member says, sees or holds now, in the place of what it was before."""
        match word:
            case m.Chat():
                self._words[member, m.Chat] = m.MemberChat(member=member, chat=word)
            case m.Look():
                self._words[member, m.Look] = m.MemberLook(member=member, look=word)
            case m.Moving():
                self._words[member, m.Moving] = m.MemberMoving(member=member, moving=word)

    def forget(self, member: str) -> None:
        self._cursors.pop(member, None)
        for kind in (m.Chat, m.Look, m.Moving):
            self._words.pop((member, kind), None)
        self._drop_masks(member)

    def take(self, board: Board) -> list[msgspec.Struct]:
        """Put everything on the board and begin anew.

        Returns:
            The same as messages, for the other servers.
        """
        strokes, masks, cursors = [*self._strokes, *self._words.values()], self._next_masks(), self._cursors
        self._strokes, self._cursors, self._words = [], {}, {}
        for stroke in strokes:
            board.stroke(codec.encode(stroke))
        for mask in masks:
            board.mask(mask)
        for member, (x, y) in cursors.items():
            board.cursor(member, x, y)
        rows = [(member, x, y) for member, (x, y) in cursors.items()]
        return [*strokes, *masks, *([m.Cursors(rows=rows)] if rows else [])]

    def _next_masks(self) -> list[m.MemberMask]:
        """As many masks as one turn should carry; the rest waits for the next."""
        taken: list[m.MemberMask] = []
        size = 0
        while self._masks and size < MAX_MASK_BYTES and len(taken) < MAX_MASK_TILES:
            mask = self._masks.pop(next(iter(self._masks)))
            size += len(mask.png or b"")
            taken.append(mask)
        return taken

    def _drop_masks(self, member: str) -> None:
        for key in [key for key in self._masks if key[0] == member]:
            del self._masks[key]
