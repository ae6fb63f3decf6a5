"""Layers and the canvas itself: the list of layers, what goes and comes with them; title and size (C1)."""

from collections.abc import Sequence

import msgspec

from nanobana.protocol.canvas import Layer, TileRef
from nanobana.protocol.messages import CanvasSet, LayerDuplicate, LayerMerge, LayerOp
from nanobana.protocol.replica import names_of
from nanobana.protocol.stack import tree
from nanobana.raster.coverage import WHOLE
from nanobana_server.store.ops.landing import land
from nanobana_server.store.ops.laying import fields_of, stayed
from nanobana_server.store.ops.merging import merged
from nanobana_server.store.ops.restack import beneath, changed, copies
from nanobana_server.store.store import Store
from nanobana_server.store.types import Commit, Committed, Record, TileWrite, UndoWrite, View


async def layer_op(store: Store, canvas: str, user: str, message: LayerOp) -> Committed:
    """Change the list of layers.

    Raises:
        NanobanaError: those of `restack.changed`; StorageFull where pixels come with it.
    """

    async def attempt() -> Committed:
        view = await store.look(canvas)
        layers, changes = changed(view.layers, message)
        kept = {layer.id for layer in layers}
        gone = tuple(layer.id for layer in view.layers if layer.id not in kept)
        refs = (await store.manifest(canvas)).tiles if gone or isinstance(message, LayerDuplicate) else []
        tiles = await _tiles(store, canvas, view, message, gone, refs)
        read = _read(view.layers, message)
        commit = Commit(
            op=message.op,
            user=user,
            kind="layers",
            tiles=tiles,
            held=stayed([(ref.layer, ref.tx, ref.ty) for ref in refs if ref.layer in read], names_of(refs), tiles),
            whole_layers=read,
            layers=layers,
            layers_version=view.layers_version,
            drop_layers=gone,
            undo=UndoWrite(record=Record(user=user, kind="layers", tiles=fields_of(tiles), layers=changes)),
        )
        return await store.commit(canvas, commit)

    return await land(store, canvas, message.op, attempt)


def _read(layers: Sequence[Layer], message: LayerOp) -> tuple[str, ...]:
    """Layers that stay and of which every tile counts: those that are copied, one that becomes opaque by a merge."""
    match message:
        case LayerDuplicate():
            return tuple(copies(layers, message))
        case LayerMerge():
            below = beneath(layers, next(layer for layer in layers if layer.id == message.layer))
            return (below.id,) if below.opacity < 1.0 else ()
        case _:
            return ()


async def _tiles(
    store: Store, canvas: str, view: View, message: LayerOp, gone: Sequence[str], refs: Sequence[TileRef]
) -> list[TileWrite]:
    """What an op writes: the tiles of layers that go, of those that are copied, of the one that takes another in.

    Args:
        refs: every tile of the canvas, where this op takes any.
    """
    writes = [
        TileWrite(key=(ref.layer, ref.tx, ref.ty), before=ref.name, after="", coverage=WHOLE)
        for ref in refs
        if ref.layer in gone
    ]
    if isinstance(message, LayerDuplicate):
        writes += _copied(view.layers, message, refs)
    if isinstance(message, LayerMerge):
        names = names_of(refs)
        writes += await merged(store, canvas, view.layers, view.layer(message.layer), names)
    return writes


def _copied(layers: Sequence[Layer], message: LayerDuplicate, refs: Sequence[TileRef]) -> list[TileWrite]:
    """A tile's name is its content: a copy names the same bytes."""
    ids = copies(layers, message)
    return [
        TileWrite(key=(ids[ref.layer], ref.tx, ref.ty), before="", after=ref.name, coverage=WHOLE)
        for ref in refs
        if ref.layer in ids
    ]


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
