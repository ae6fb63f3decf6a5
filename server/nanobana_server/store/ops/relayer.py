"""Taking back layer ops and changes of the canvas while others go on changing them (C9)."""

from collections.abc import Sequence

import msgspec

from nanobana.protocol.canvas import CanvasInfo, Layer
from nanobana_server.store.ops.layers import SET, index_of
from nanobana_server.store.types import LayersUndo


def take_back(layers: Sequence[Layer], changes: Sequence[LayersUndo], filled: set[str]) -> list[Layer]:
    """The list without these changes, newest first.

    Args:
        filled: layers that still hold somebody's pixels afterwards; one of them is never taken away.
    """
    new = list(layers)
    for change in reversed(changes):
        match change.what:
            case "add" if change.after is not None:
                _remove(new, change.after, filled)
            case "delete" if change.before is not None:
                _insert(new, change.before, change.index_before)
            case "set" if change.before is not None and change.after is not None:
                _set(new, change.after, change.before)
            case "move" if change.before is not None:
                _move(new, change.before, change.index_before)
    return new


def do_again(layers: Sequence[Layer], changes: Sequence[LayersUndo], filled: set[str]) -> list[Layer]:
    """The list with these changes again, oldest first."""
    new = list(layers)
    for change in changes:
        match change.what:
            case "add" if change.after is not None:
                _insert(new, change.after, change.index_after)
            case "delete" if change.before is not None:
                _remove(new, change.before, filled)
            case "set" if change.before is not None and change.after is not None:
                _set(new, change.before, change.after)
            case "move" if change.after is not None:
                _move(new, change.after, change.index_after)
    return new


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


def _remove(layers: list[Layer], layer: Layer, filled: set[str]) -> None:
    at = index_of(layers, layer.id)
    if at is not None and layer.id not in filled:
        del layers[at]


def _insert(layers: list[Layer], layer: Layer, index: int) -> None:
    if index_of(layers, layer.id) is None:
        layers.insert(min(index, len(layers)), layer)


def _set(layers: list[Layer], source: Layer, target: Layer) -> None:
    at = index_of(layers, source.id)
    if at is None:
        return
    now = layers[at]
    fields = [name for name in (*SET, "parent") if getattr(source, name) != getattr(target, name)]
    wanted = {name: getattr(target, name) for name in fields if getattr(now, name) == getattr(source, name)}
    layers[at] = msgspec.structs.replace(now, **wanted)


def _move(layers: list[Layer], layer: Layer, index: int) -> None:
    at = index_of(layers, layer.id)
    if at is not None:
        layers.insert(min(index, len(layers) - 1), layers.pop(at))
