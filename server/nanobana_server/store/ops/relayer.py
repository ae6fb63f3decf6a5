"""Taking back layer ops and changes of the canvas, and doing them again, while others go on changing them (C9)."""

from collections.abc import Sequence
from typing import Literal

import msgspec

from nanobana.protocol.canvas import CanvasInfo, Layer
from nanobana.protocol.stack import block, ordered
from nanobana_server.store.ops.restack import SET, Restacked, index_of
from nanobana_server.store.types import LayersUndo

Side = Literal["undo", "redo"]


def turn(layers: Sequence[Layer], changes: Sequence[LayersUndo], filled: set[str], side: Side) -> Restacked:
    """The list without the changes of one op, or with them again, and those changes as they can be turned back.

    What a turn finds is noted in the changes: where a layer stood and what it was when it went, which fields were still
    as they had been set. So whoever undoes a lot and does it all again has the very list that they began with, whatever
    others had made of it before (Figma's rule).

    Args:
        filled: layers that still hold somebody's pixels afterwards; one of them is never taken away, nor is a group
            that holds a layer afterwards.
    """
    turning = _Turn(list(layers), list(changes), is_undo=side == "undo")
    numbers = range(len(changes))
    for number in reversed(numbers) if side == "undo" else numbers:
        turning.step(number, filled)
    turning.settle()
    return Restacked(ordered(turning.layers), turning.changes)


class _Turn:
    """One turn under way.

    A change goes from its source to its target: from `after` to `before` where it is taken back.
    """

    def __init__(self, layers: list[Layer], changes: list[LayersUndo], *, is_undo: bool) -> None:
        self.layers = layers
        self.changes = changes
        self._is_undo = is_undo
        self._groups: dict[str, tuple[int, int]] = {}
        """Groups that are to go, with the number of the change and where they stood when it was their turn."""

    def step(self, number: int, filled: set[str]) -> None:
        change = self.changes[number]
        self.changes[number] = msgspec.structs.replace(change, idle=not change.idle)
        if change.idle:
            return
        both = change.after, change.before
        source, target = both if self._is_undo else both[::-1]
        index = change.index_before if self._is_undo else change.index_after
        if source is None:
            assert target is not None
            self._insert(number, target, index)
        elif target is None:
            at = index_of(self.layers, source.id)
            if at is None:
                return
            if source.group:
                self._groups[source.id] = number, at
            elif source.id not in filled:
                self._remove(number, at, source.id)
        elif change.what == "move":
            self._move(number, target.id, index, alone=change.alone)
        else:
            self._set(number, source, target)

    def settle(self) -> None:
        """Takes away those of the groups that are to go which nothing is left in, the inner ones first."""
        while True:
            holding = {layer.parent for layer in self.layers}
            empty = [layer.id for layer in self.layers if layer.id in self._groups and layer.id not in holding]
            if not empty:
                return
            self._remove(*self._groups[empty[0]], empty[0])

    def _insert(self, number: int, layer: Layer, index: int) -> None:
        if index_of(self.layers, layer.id) is None:
            self.layers.insert(min(index, len(self.layers)), layer)
            self._note(number)

    def _remove(self, number: int, stood: int, layer: str) -> None:
        """Takes a layer away; it comes in again where it stood while the changes that come before it were in place."""
        gone = next(each for each in self.layers if each.id == layer)
        self.layers.remove(gone)
        found: dict[str, Layer | int] = {self._left: gone, f"index_{self._left}": stood}
        self._note(number, **found)

    def _move(self, number: int, layer: str, index: int, *, alone: bool) -> None:
        part = [each for each in block(self.layers, layer) if each.id == layer or not alone]
        if part:
            self._note(number, **{f"index_{self._left}": self.layers.index(part[0])})
            rest = [each for each in self.layers if each not in part]
            self.layers[:] = [*rest[:index], *part, *rest[index:]]

    def _set(self, number: int, source: Layer, target: Layer) -> None:
        at = index_of(self.layers, source.id)
        if at is None:
            return
        now = self.layers[at]
        fields = [name for name in (*SET, "parent") if getattr(source, name) != getattr(target, name)]
        wanted = {name: getattr(target, name) for name in fields if getattr(now, name) == getattr(source, name)}
        if wanted:
            self.layers[at] = then = msgspec.structs.replace(now, **wanted)
            self._note(number, **{self._left: now, self._reached: then})

    @property
    def _left(self) -> str:
        """The side of a change that this turn leaves."""
        return "after" if self._is_undo else "before"

    @property
    def _reached(self) -> str:
        return "before" if self._is_undo else "after"

    def _note(self, number: int, **found: Layer | int) -> None:
        """That a change was turned, and what was found there."""
        self.changes[number] = msgspec.structs.replace(self.changes[number], idle=False, **found)


def canvas_after(now: CanvasInfo, source: CanvasInfo, target: CanvasInfo, *, has_layers: bool) -> CanvasInfo:
    """The canvas with what went from `source` to `target`, except where somebody changed it since.

    A canvas that has layers does not lose its size.
    """
    wanted: dict[str, str | int] = {}
    if now.title == source.title:
        wanted["title"] = target.title
    if (now.width, now.height) == (source.width, source.height) and (target.width > 0 or not has_layers):
        wanted |= {"width": target.width, "height": target.height}
    return msgspec.structs.replace(now, **wanted)
