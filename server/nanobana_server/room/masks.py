"""The members' masks as they stand on a board, tile by tile, within a bound of memory (R3, R6)."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from nanobana.protocol import codec
from nanobana.protocol import messages as m

MEMBER_BYTES = 4 * 2**20
"""Of one member's mask; tiles beyond it are not shown to the others. A soft brush's tile has 1 to 5 KiB."""

Tile = tuple[int, int]


@dataclass(slots=True)
class _Shown:
    """One member's mask: what wiped it last, and its tiles since; an emptied tile stays for those who are behind."""

    wiped: tuple[int, bytes] | None = None
    tiles: dict[Tile, tuple[int, m.MemberMask, bytes]] = field(default_factory=dict)
    size: int = 0


class Masks:
    """All masks of a room, each piece with the turn in which it changed."""

    def __init__(self) -> None:
        self._of: dict[str, _Shown] = {}

    def put(self, turn: int, mask: m.MemberMask) -> None:
        """A member's new piece, or the end of its mask."""
        shown = self._of.setdefault(mask.member, _Shown())
        encoded = codec.encode(mask)
        if mask.tile is None:
            self._of[mask.member] = _Shown(wiped=(turn, encoded))
            return
        known = shown.tiles.get(mask.tile)
        size = shown.size + len(encoded) - (len(known[2]) if known else 0)
        if size > MEMBER_BYTES and mask.png is not None:
            return
        shown.tiles[mask.tile] = (turn, mask, encoded)
        shown.size = size

    def standing(self) -> Iterator[tuple[int, bytes]]:
        """Everything with its turn; what wiped a mask comes before its tiles."""
        for shown in self._of.values():
            if shown.wiped is not None:
                yield shown.wiped
            for turn, _, encoded in shown.tiles.values():
                yield turn, encoded

    def visible(self) -> Iterator[m.MemberMask]:
        """The tiles that have something in them."""
        for shown in self._of.values():
            yield from (mask for _, mask, _ in shown.tiles.values() if mask.png is not None)

    def forget(self, member: str) -> None:
        self._of.pop(member, None)
