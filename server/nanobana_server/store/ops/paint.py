"""Paint: an author's RGBA patch over a layer, or erased from it (C11)."""

from nanobana.protocol.canvas import OpId
from nanobana.protocol.errors import BadInput
from nanobana.protocol.geometry import Box
from nanobana.protocol.messages import Paint
from nanobana.raster.decode import decode_patch
from nanobana.raster.patches import crop
from nanobana.raster.pixels import Rgba
from nanobana_server.store.ops.landing import answered, land
from nanobana_server.store.ops.laying import fields_of, keys_of, lay_patch, op_parts, stayed
from nanobana_server.store.store import Store
from nanobana_server.store.types import Commit, Committed, Record, UndoWrite

MOST_PARTS = 128
"""Of one stroke that are finished though the budget is used up: nobody gets much in behind a small first part."""


async def paint(store: Store, canvas: str, user: str, message: Paint) -> Committed:
    """Lay a patch over a layer, or erase by its alpha; where it races with others, the later op wins (C5).

    Raises:
        BadInput: ``bad_patch`` and the codes of `decode_patch`; ``outside`` where it misses the canvas.
        LayerGone, LayerLocked, NotFound, StorageFull.
    """

    async def whole() -> Committed:
        patch, box = await _patch(store, canvas, message)
        parts, group = op_parts(message.op, box)
        forget = parts[0][0].client if group else None
        done = await answered(store, canvas, message.op) if group else None
        if isinstance(done, int):
            return Committed(seq=done, first_time=False)
        begun = False
        if message.group is not None:
            group = f"{message.op.client}-{message.group}"
            if 0 < message.op.n - message.group < MOST_PARTS:
                begun = isinstance(await answered(store, canvas, OpId(message.op.client, message.group)), int)
        for number, (op, part) in enumerate(parts[:-1]):
            piece = crop(patch, box, part)
            await _one(store, canvas, user, message, op, piece, part, group, over_budget=begun or number > 0)
        op, part = parts[-1]
        piece = crop(patch, box, part)
        return await _one(
            store, canvas, user, message, op, piece, part, group, forget=forget, over_budget=begun or len(parts) > 1
        )

    return await land(store, canvas, message.op, whole)


async def _one(
    store: Store,
    canvas: str,
    user: str,
    message: Paint,
    op: OpId,
    patch: Rgba,
    box: Box,
    group: str,
    *,
    forget: str | None = None,
    over_budget: bool,
) -> Committed:
    """One part of a patch; what was begun within the budget is finished (C12)."""
    keys = keys_of(message.layer, box)

    async def attempt() -> Committed:
        view = await store.look(canvas, keys)
        view.paintable(message.layer)
        tiles = await lay_patch(store, canvas, view, message.layer, patch, box, message.mode, over_budget=over_budget)
        record = Record(user=user, kind="paint", tiles=fields_of(tiles))
        commit = Commit(
            op=op,
            user=user,
            kind="paint",
            tiles=tiles,
            held=stayed(keys, view.names, tiles),
            need_layers=(message.layer,),
            open_layers=(message.layer,),
            undo=UndoWrite(record=record, group=group) if tiles else None,
            forget=forget,
            over_budget=over_budget,
        )
        return await store.commit(canvas, commit)

    async with store.turns.on(canvas, keys):
        return await land(store, canvas, op, attempt)


async def _patch(store: Store, canvas: str, message: Paint) -> tuple[Rgba, Box]:
    """The patch decoded and clipped to the canvas."""
    if message.box.is_empty or (message.png is None) == (message.blob is None):
        raise BadInput("A paint op needs a box, and its patch either inline or as a blob.", code="bad_patch")
    info = await store.info(canvas)
    inside = message.box.intersect(Box(0, 0, info.width, info.height))
    if inside.is_empty:
        raise BadInput("This stroke lies outside the canvas.", code="outside")
    data = message.png if message.png is not None else await store.get_blob(canvas, message.blob or "")
    patch = await store.pool.run(decode_patch, data, message.box)
    return crop(patch, message.box, inside), inside
