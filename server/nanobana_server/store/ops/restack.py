"""What a layer op makes of the list of layers, and how that is taken back; the list is always in order (C1, C9)."""

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from nanobana.protocol.canvas import Layer
from nanobana.protocol.errors import BadInput, Conflict
from nanobana.protocol.messages import (
    LayerAdd,
    LayerDelete,
    LayerDuplicate,
    LayerGroup,
    LayerMerge,
    LayerMove,
    LayerOp,
    LayerSet,
    LayerUngroup,
)
from nanobana.protocol.stack import MAX_DEPTH, MAX_LAYERS, around, block, is_locked, ordered
from nanobana.raster.codec import blob_name
from nanobana_server.store.types import LayerGone, LayerLocked, LayersUndo

SET = ("name", "visible", "opacity", "blend", "locked")
"""What `LayerSet` sets."""


class Restacked(NamedTuple):
    """The new list, and what was done to it in steps that can be taken back one by one."""

    layers: list[Layer]
    changes: list[LayersUndo]


def changed(layers: Sequence[Layer], message: LayerOp) -> Restacked:
    """Do an op to a list.

    Raises:
        LayerGone, LayerLocked: ``layer_gone``, ``layer_locked``.
        Conflict: ``layer_exists``.
        BadInput: ``too_many_layers``, ``too_deep``, ``bad_group``, ``nothing_below``.
    """
    match message:
        case LayerAdd():
            return _add(layers, message)
        case LayerSet():
            return _set(layers, message)
        case LayerMove():
            return _move(layers, message)
        case LayerDelete():
            return _delete(layers, block(layers, _open(layers, message.layer).id))
        case LayerGroup():
            return _group(layers, message)
        case LayerUngroup():
            return _ungroup(layers, message)
        case LayerDuplicate():
            return _duplicate(layers, message)
        case LayerMerge():
            return _merge(layers, message)


def index_of(layers: Sequence[Layer], layer: str) -> int | None:
    """Where a layer stands in the list, None if it does not."""
    return next((index for index, found in enumerate(layers) if found.id == layer), None)


def beneath(layers: Sequence[Layer], layer: Layer) -> Layer:
    """The layer right beneath another in the same group, on which it is merged.

    Raises:
        BadInput: ``nothing_below``: there is none, or it is a group, or one of both is hidden.
    """
    start = layers.index(block(layers, layer.id)[0])
    below = layers[start - 1] if start > 0 else None
    if below is None or around(layers, below.id) != around(layers, layer.id):
        raise BadInput("There is no layer beneath this one to merge it with.", code="nothing_below")
    if below.group:
        text = "What is beneath this layer is a group. Merge what is in it first, or move the layer into it."
        raise BadInput(text, code="nothing_below")
    if not (below.visible and layer.visible):
        raise BadInput("Only layers that show are merged: show both first.", code="nothing_below")
    return below


def copies(layers: Sequence[Layer], message: LayerDuplicate) -> dict[str, str]:
    """The IDs of a layer and of what is in it → those of their copies, the same for every repetition of the op."""
    return {
        layer.id: message.copy if layer.id == message.layer else blob_name(f"{message.copy}/{layer.id}".encode())
        for layer in block(layers, message.layer)
    }


def _add(layers: Sequence[Layer], message: LayerAdd) -> Restacked:
    above = index_of(layers, message.above) if message.above is not None else None
    index = len(layers) if above is None else above + 1
    layer = Layer(id=message.layer, name=message.name, parent="" if above is None else layers[above].parent)
    return _inserted(layers, layer, index)


def _set(layers: Sequence[Layer], message: LayerSet) -> Restacked:
    wanted = {name: value for name in SET if (value := getattr(message, name)) is not None}
    before = _found(layers, message.layer)
    if is_locked(layers, before) and wanted.keys() - {"visible", "locked"}:
        raise LayerLocked(before.id)
    after = msgspec.structs.replace(before, **wanted)
    return _replaced(layers, before, after)


def _move(layers: Sequence[Layer], message: LayerMove) -> Restacked:
    layer = _open(layers, message.layer)
    if message.parent:
        group = _open(layers, message.parent)
        inside = block(layers, layer.id)
        if not group.group or group in inside:
            raise BadInput("A layer goes into a group, and a group not into itself.", code="bad_group")
        _check_depth(layers, group.id, inside)
    parent = layer.parent if message.parent is None else message.parent
    return _moved(layers, layer, message.index, parent)


def _group(layers: Sequence[Layer], message: LayerGroup) -> Restacked:
    named = {_open(layers, member).id for member in message.members}
    members = [
        layer for layer in layers
        if layer.id in named and not named & {group.id for group in around(layers, layer.id)}
    ]  # fmt: skip
    top = members[-1] if members else None
    group = Layer(id=message.layer, name=message.name, group=True, parent="" if top is None else top.parent)
    new, changes = _inserted(layers, group, len(layers) if top is None else layers.index(top) + 1)
    for member in members:
        _check_depth(new, group.id, block(new, member.id))
        rest = [layer for layer in new if layer not in block(new, member.id)]
        new, more = _moved(new, member, rest.index(group), group.id)
        changes += more
    return Restacked(new, changes)


def _ungroup(layers: Sequence[Layer], message: LayerUngroup) -> Restacked:
    group = _open(layers, message.layer)
    if not group.group:
        raise BadInput("This is no group.", code="bad_group")
    new, changes = list(layers), list[LayersUndo]()
    for member in [layer for layer in layers if layer.parent == group.id]:
        start = new.index(block(new, group.id)[0])
        new, more = _moved(new, _open(new, member.id), start, group.parent)
        changes += more
    new, more = _delete(new, [group])
    return Restacked(new, changes + more)


def _duplicate(layers: Sequence[Layer], message: LayerDuplicate) -> Restacked:
    layer = _found(layers, message.layer)
    if any(group.locked for group in around(layers, layer.id)):
        raise LayerLocked(layer.parent)
    ids = copies(layers, message)
    inside = block(layers, layer.id)
    new, changes = list(layers), list[LayersUndo]()
    for index, each in enumerate(inside, start=layers.index(layer) + 1):
        copy = msgspec.structs.replace(each, id=ids[each.id], parent=ids.get(each.parent, each.parent))
        if each is layer:
            copy = msgspec.structs.replace(copy, name=f"{layer.name[:190]} copy", locked=False)
        new, more = _inserted(new, copy, index, is_whole=each is layer)
        changes += more
    return Restacked(new, changes)


def _merge(layers: Sequence[Layer], message: LayerMerge) -> Restacked:
    layer = _open(layers, message.layer)
    below = _open(layers, beneath(layers, layer).id)
    new, changes = _delete(layers, block(layers, layer.id))
    if below.opacity < 1.0:
        new, more = _replaced(new, below, msgspec.structs.replace(below, opacity=1.0))
        changes += more
    return Restacked(new, changes)


def _inserted(layers: Sequence[Layer], layer: Layer, index: int, *, is_whole: bool = True) -> Restacked:
    """One more layer; `is_whole` says that the list is in order with it, as it is not while a copy lacks its group."""
    if index_of(layers, layer.id) is not None:
        raise Conflict("There is such a layer already.", code="layer_exists")
    if len(layers) >= MAX_LAYERS:
        raise BadInput(f"A canvas has at most {MAX_LAYERS} layers.", code="too_many_layers")
    new = [*layers[:index], layer, *layers[index:]]
    if any(group.locked for group in around(new, layer.id)):
        raise LayerLocked(layer.parent)
    return Restacked(ordered(new) if is_whole else new, [LayersUndo(what="add", after=layer, index_after=index)])


def _replaced(layers: Sequence[Layer], before: Layer, after: Layer) -> Restacked:
    new = [after if layer.id == before.id else layer for layer in layers]
    return Restacked(new, [LayersUndo(what="set", before=before, after=after)])


def _moved(layers: Sequence[Layer], layer: Layer, index: int, parent: str) -> Restacked:
    """A layer, or a group with all that is in it, at an index of the list without them."""
    after = msgspec.structs.replace(layer, parent=parent)
    part = block(layers, layer.id)
    rest = [each for each in layers if each not in part]
    index = min(index, len(rest))
    moved = [after if each is layer else each for each in part]
    change = LayersUndo(what="move", before=layer, after=after, index_before=layers.index(part[0]), index_after=index)
    changes = [change] if parent == layer.parent else [LayersUndo(what="set", before=layer, after=after), change]
    return Restacked(ordered([*rest[:index], *moved, *rest[index:]]), changes)


def _delete(layers: Sequence[Layer], gone: Sequence[Layer]) -> Restacked:
    """Without these; taken back, they come in again from the bottom."""
    for layer in gone:
        if layer.locked:
            raise LayerLocked(layer.id)
    changes = [LayersUndo(what="delete", before=layer, index_before=layers.index(layer)) for layer in reversed(gone)]
    return Restacked([layer for layer in layers if layer not in gone], changes)


def _found(layers: Sequence[Layer], layer: str) -> Layer:
    index = index_of(layers, layer)
    if index is None:
        raise LayerGone(layer)
    return layers[index]


def _open(layers: Sequence[Layer], layer: str) -> Layer:
    found = _found(layers, layer)
    if is_locked(layers, found):
        raise LayerLocked(layer)
    return found


def _check_depth(layers: Sequence[Layer], group: str, inside: Sequence[Layer]) -> None:
    """Whether a block may go into a group."""
    own = len(around(layers, inside[-1].id))
    height = max(len(around(layers, layer.id)) - own for layer in inside)
    if len(around(layers, group)) + 1 + height > MAX_DEPTH:
        raise BadInput(f"Groups are nested at most {MAX_DEPTH} deep.", code="too_deep")
