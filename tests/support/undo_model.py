"""What undo means, in a few lines without a store: a pixel shows the last act in force that covered it (C9)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from nanobana.protocol.canvas import Layer
from nanobana.protocol.geometry import TILE, Box, tiles_of
from nanobana.raster.pixels import Covered
from support.strokes import Colour, Pixels

SIDE = 300
"""Two by two tiles, most strokes over a border."""
CANVAS = Box(0, 0, SIDE, SIDE)


@dataclass
class Write:
    """What an act wrote on a layer: colours where it covered."""

    layer: str
    where: Covered
    colours: Pixels


@dataclass
class Act:
    """Something that somebody did, and whether it is in force."""

    user: str
    writes: list[Write] = field(default_factory=list)
    makes: set[str] = field(default_factory=set)
    takes: set[str] = field(default_factory=set)
    in_force: bool = True
    job: str = ""
    """Set where it asked for an edit: taken back, that ends and is not done again."""


@dataclass
class Model:
    """People take back their own acts, the newest first, and nobody else's."""

    acts: list[Act] = field(default_factory=list)
    undone: dict[str, list[Act]] = field(default_factory=dict)
    """By person, what they may do again."""

    def act(self, act: Act) -> None:
        self.acts.append(act)
        self.undone[act.user] = []

    def decided(self, job: str) -> None:
        """An edit is over: there is nothing of the asking that could be taken back."""
        self.acts = [act for act in self.acts if act.job != job]

    def top(self, user: str) -> Act | None:
        """What a person would take back."""
        return next((act for act in reversed(self.acts) if act.user == user and act.in_force), None)

    def undo(self, user: str) -> bool:
        act = self.top(user)
        if act is None:
            return False
        if act.job:
            self.decided(act.job)
        else:
            act.in_force = False
            self.undone.setdefault(user, []).append(act)
        return True

    def redo(self, user: str) -> bool:
        if not self.undone.get(user):
            return False
        self.undone[user].pop().in_force = True
        return True

    def pixels(self, layer: str) -> Pixels:
        out = np.zeros((SIDE, SIDE, 4), np.uint8)
        for act in self.acts:
            for write in act.writes:
                if act.in_force and write.layer == layer:
                    out[write.where] = write.colours[write.where]
        return out

    def tiles(self, layer: str) -> Covered:
        """Where the layer has tiles: what goes, or is copied, with the whole layer."""
        where = np.zeros((SIDE, SIDE), np.bool_)
        drawn = self.pixels(layer)[..., 3] > 0
        for tx, ty in tiles_of(CANVAS):
            tile = np.s_[ty * TILE : (ty + 1) * TILE, tx * TILE : (tx + 1) * TILE]
            where[tile] = drawn[tile].any()
        return where

    def cleared(self, layer: str) -> Write:
        return Write(layer, self.tiles(layer), np.zeros((SIDE, SIDE, 4), np.uint8))

    def must_be_there(self) -> set[str]:
        """Layers that somebody made and nobody took away."""
        made = {layer for act in self.acts if act.in_force for layer in act.makes}
        return made - {layer for act in self.acts if act.in_force for layer in act.takes}

    def flat(self, layers: Sequence[Layer]) -> Pixels:
        out = np.zeros((SIDE, SIDE, 4), np.uint8)
        for layer in layers:
            drawn = self.pixels(layer.id)
            out[drawn[..., 3] > 0] = drawn[drawn[..., 3] > 0]
        return out


def stroke(layer: str, box: Box, colour: Colour) -> Write:
    """An opaque rectangle."""
    where, colours = np.zeros((SIDE, SIDE), np.bool_), np.zeros((SIDE, SIDE, 4), np.uint8)
    where[box.y0 : box.y1, box.x0 : box.x1] = True
    colours[where] = colour
    return Write(layer, where, colours)
