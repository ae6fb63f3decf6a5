"""Layers and the canvas itself: add, set, move and delete layers; title and size (C1)."""

from collections.abc import Sequence

import msgspec

from nanobana.protocol.canvas import Layer
from nanobana.protocol.errors import BadInput, Conflict
from nanobana.protocol.messages import CanvasSet, LayerAdd, LayerDelete, LayerMove, LayerSet
from nanobana.protocol.stack import MAX_LAYERS, is_locked, tree
from nanobana.raster.coverage import WHOLE
from nanobana_server.store.ops.landing import land
from nanobana_server.store.store import Store
from nanobana_server.store.types import (
    Commit,
    Committed,
    LayerGone,
    LayerLocked,
    LayersUndo,
    Record,
    TileWrite,
    UndoWrite,
    View,
)

LayerOp = LayerAdd | LayerSet | LayerMove | LayerDelete

SET = ("name", "visible", "opacity", "blend", "locked")
"""What `LayerSet` sets."""


async def layer_op(store: Store, canvas: str, user: str, message: LayerOp) -> Committed:
    """Change the list of layers.

    Raises:
        LayerGone: ``layer_gone``.
        LayerLocked: ``layer_locked``.
        Conflict: ``layer_exists``.
        BadInput: ``too_many_layers``.
    """

    async def attempt() -> Committed:
        view = await store.look(canvas)
        layers, change = changed(view.layers, message)
        tiles: list[TileWrite] = []
        drop: tuple[str, ...] = ()
        if change.what == "delete":
            drop = (message.layer,)
            tiles = [
                TileWrite(key=(ref.layer, ref.tx, ref.ty), before=ref.name, after="", coverage=WHOLE)
                for ref in (await store.manifest(canvas)).tiles
                if ref.layer == message.layer
            ]
        fields = [f"{layer}/{tx}/{ty}" for layer, tx, ty in (write.key for write in tiles)]
        record = Record(user=user, kind="layers", tiles=fields, layers=[change])
        commit = Commit(
            op=message.op,
            user=user,
            kind="layers",
            tiles=tiles,
            layers=layers,
            layers_version=view.layers_version,
            drop_layers=drop,
            undo=UndoWrite(record=record),
        )
        return await store.commit(canvas, commit)

    return await land(store, canvas, message.op, attempt)


def changed(layers: Sequence[Layer], message: LayerOp) -> tuple[list[Layer], LayersUndo]:
    """The new list, and how to take it back."""
    new = list(layers)
    at = index_of(new, message.layer)
    if isinstance(message, LayerAdd):
        if at is not None:
            raise Conflict("There is such a layer already.", code="layer_exists")
        if len(new) >= MAX_LAYERS:
            raise BadInput(f"A canvas has at most {MAX_LAYERS} layers.", code="too_many_layers")
        above = index_of(new, message.above) if message.above is not None else None
        index = len(new) if above is None else above + 1
        layer = Layer(id=message.layer, name=message.name, parent="" if above is None else new[above].parent)
        if is_locked([*new, layer], layer):
            raise LayerLocked(layer.parent)
        new.insert(index, layer)
        return new, LayersUndo(what="add", after=layer, index_after=index)
    if at is None:
        raise LayerGone(message.layer)
    before = new[at]
    if is_locked(new, before) and not _is_allowed(message):
        raise LayerLocked(before.id)
    match message:
        case LayerSet():
            wanted = {name: value for name in SET if (value := getattr(message, name)) is not None}
            new[at] = msgspec.structs.replace(before, **wanted)
            return new, LayersUndo(what="set", before=before, after=new[at])
        case LayerMove():
            del new[at]
            index = min(message.index, len(new))
            new.insert(index, before)
            return new, LayersUndo(what="move", before=before, after=before, index_before=at, index_after=index)
        case LayerDelete():
            del new[at]
            return new, LayersUndo(what="delete", before=before, index_before=at)


def _is_allowed(message: LayerOp) -> bool:
    """Whether a locked layer takes it: showing, hiding and unlocking."""
    free = ("visible", "locked")
    return isinstance(message, LayerSet) and all(getattr(message, name) is None for name in SET if name not in free)


def index_of(layers: Sequence[Layer], layer: str) -> int | None:
    """Where a layer stands in the list, None if it does not."""
    return next((index for index, found in enumerate(layers) if found.id == layer), None)


def top_visible(view: View) -> int:
    """Index right above all that shows: above the top visible layer, or the group that it is in."""
    shown = {node.layer.id for node in tree(view.layers) if node.layer.visible}
    return max((index + 1 for index, layer in enumerate(view.layers) if layer.id in shown), default=len(view.layers))


async def canvas_set(store: Store, canvas: str, user: str, message: CanvasSet) -> Committed:
    """Name or size of the canvas; tiles stay where they are, what lies outside is just not shown."""

    async def attempt() -> Committed:
        view = await store.look(canvas)
        fields = {"title": message.title, "width": message.width, "height": message.height}
        wanted = {name: value for name, value in fields.items() if value is not None}
        after = msgspec.structs.replace(view.canvas, **wanted)
        record = Record(user=user, kind="canvas", canvas_before=view.canvas, canvas_after=after)
        commit = Commit(
            op=message.op,
            user=user,
            kind="canvas",
            canvas=after,
            layers_version=view.layers_version,
            undo=UndoWrite(record=record),
        )
        return await store.commit(canvas, commit)

    return await land(store, canvas, message.op, attempt)
