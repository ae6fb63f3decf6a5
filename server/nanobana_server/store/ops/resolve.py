"""What a tile looks like when an op is taken back or done again: per pixel, the last op in force that covered it (C9).

Every undoable op is in force or taken back. A pixel shows what the last op in force that covered it made of it, or,
where there is none, what stood there before the first op that covered it. The picture is so a function of which ops are
in force: undo a lot, redo all of it, and every tile has its old name again (Figma's rule).
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from nanobana.protocol.geometry import TILE
from nanobana.raster import coverage
from nanobana.raster.codec import blank_tile
from nanobana.raster.pixels import Covered, Rgba


@dataclass(frozen=True, slots=True)
class Past:
    """One op's part in a tile's history: its name before and after it, "" for none, and its coverage's name."""

    seq: int
    before: str
    after: str
    cover: str
    in_force: bool
    """After the undo or redo that is being made."""
    flipped: int
    """Seq of the undo or redo that it last went through, 0 for none."""


@dataclass(frozen=True, slots=True)
class Painted:
    """These pixels get this tile's."""

    where: Covered
    name: str


@dataclass(frozen=True, slots=True)
class Pixels:
    """The current tile with some pixels replaced."""

    parts: list[Painted]


@dataclass(frozen=True, slots=True)
class Wanted:
    """Coverage masks that are needed, those needed first in front."""

    names: list[str]


def parse(member: str, field: str) -> tuple[int, str, str, str]:
    """A member of the history set: seq, before, after, coverage."""
    seq, before, after, cover = member[len(field) + 1 :].split("/")
    return int(seq), before, after, cover


def shortcut(history: Sequence[Past], mine: Collection[int]) -> str | None:
    """The tile's name where it needs no pixels, else None.

    Args:
        history: oldest first, not empty, with the new sides.
        mine: seqs of the ops that change sides, all to the same one; none for a tile that comes back with its layer.
    """
    own = [past for past in history if past.seq in mine] or [past for past in history if past.in_force][-1:]
    if not own:
        return history[0].before
    first, last = own[0], own[-1]
    for past in history:
        if past.seq < first.seq and past.flipped > first.seq:
            return None
        if past.seq > first.seq and past not in own and (past.in_force or past.seq < last.seq):
            return None
    return last.after if last.in_force else first.before


def plan(history: Sequence[Past], mine: Collection[int], covers: Mapping[str, bytes]) -> Pixels | Wanted:
    """Which pixels of the tile come from which tile; or which coverage masks it takes to tell.

    Almost always the newest few masks of a long history are enough, so the caller fetches them as they are wanted.

    Args:
        history: oldest first, with the new sides.
        mine: seqs of the ops that change sides; none for a tile that comes back with its layer.
        covers: packed coverage masks by name, as far as they are known.
    """
    own = [past for past in history if not mine or past.seq in mine]
    last = own[-1].seq
    newest_first = [(past, past.after if past.seq <= last else None) for past in reversed(history) if past.in_force]
    steps = newest_first + [(past, past.before) for past in history]
    if not _known(own, covers):
        return _wanted([*own, *(past for past, _name in steps)], covers)
    left = np.zeros((TILE, TILE), np.bool_)
    for past in own:
        left |= _mask(past, covers)
    parts: list[Painted] = []
    for done, (past, name) in enumerate(steps):
        if not left.any():
            break
        if not _known([past], covers):
            return _wanted([past for past, _name in steps[done:]], covers)
        where = left & _mask(past, covers)
        if name is not None and where.any():
            parts.append(Painted(where, name))
        left &= ~where
    return Pixels(parts)


def _mask(past: Past, covers: Mapping[str, bytes]) -> Covered:
    return coverage.whole() if past.cover == coverage.WHOLE else coverage.unpack(covers[past.cover])


def _known(pasts: Iterable[Past], covers: Mapping[str, bytes]) -> bool:
    return all(past.cover == coverage.WHOLE or past.cover in covers for past in pasts)


def _wanted(pasts: Iterable[Past], covers: Mapping[str, bytes]) -> Wanted:
    return Wanted(list(dict.fromkeys(past.cover for past in pasts if not _known([past], covers))))


def apply(current: Rgba | None, pixels: Pixels, tiles: Mapping[str, Rgba]) -> Rgba:
    """The new tile."""
    out = blank_tile() if current is None else current.copy()
    for part in pixels.parts:
        out[part.where] = tiles[part.name][part.where] if part.name else np.zeros(4, np.uint8)
    return out
