"""Deciding an edit: cancel it while it runs, accept or discard its staged result; the first decision wins (J5)."""

from collections.abc import Callable, Sequence

import msgspec

from nanobana.protocol.canvas import TERMINAL, Job, JobState, Layer, OpId
from nanobana.protocol.errors import BadInput, Conflict, NotAllowed
from nanobana.protocol.geometry import Box
from nanobana.protocol.messages import Cancel, Decide
from nanobana.protocol.stack import around, is_locked, seen
from nanobana.raster.codec import blob_name
from nanobana.raster.pixels import Rgba
from nanobana_server.jobs import live
from nanobana_server.jobs.records import KEPT_STATES, Accepting, Kept, note_accepting, read_job
from nanobana_server.jobs.result import Result
from nanobana_server.store import Store
from nanobana_server.store.ops.landing import land
from nanobana_server.store.ops.layers import top_visible
from nanobana_server.store.ops.laying import keys_of, lay_patch, op_parts
from nanobana_server.store.ops.restack import index_of
from nanobana_server.store.types import (
    Author,
    Commit,
    Committed,
    JobWrite,
    LayerGone,
    LayersUndo,
    Moved,
    Record,
    UndoWrite,
    View,
    WrongState,
)

LAYER_NAME = 40
"""Characters of the prompt that name a new layer."""


async def cancel(store: Store, canvas: str, author: Author, message: Cancel) -> Committed:
    """End an edit that waits or runs; a staged one is discarded.

    Raises:
        NotAllowed: it is somebody else's, and the author is no owner.
        WrongState: ``already_decided``.
        NotFound: ``no_job``.
    """

    async def attempt() -> Committed:
        kept = await _mine(store, canvas, author, message.job, message.op)
        state: JobState = "discarded" if kept.state == "staged" else "cancelled"
        expect = ("staged",) if kept.state == "staged" else KEPT_STATES
        return await _end(store, canvas, author, message.op, kept.job, state, expect)

    return await land(store, canvas, message.op, attempt)


async def decide(store: Store, canvas: str, author: Author, message: Decide) -> Committed:
    """Accept one variation onto the canvas, or discard the result.

    An edit that says where it goes is laid there. Others are laid on the layer that they named where that is the only
    visible one (or, where they named none, on the only visible one); otherwise, where that one is locked, and with
    `new_layer`, on a new layer right above the visible ones (E5).

    Raises:
        WrongState: ``already_decided``.
        Conflict: ``not_staged`` while it still runs.
        LayerGone, LayerLocked: ``layer_gone``, ``layer_locked``: ask again with `new_layer`.
        NotAllowed, NotFound, BadInput (``bad_variation``), StorageFull.
    """

    begun = False

    async def attempt() -> Committed:
        nonlocal begun
        kept = await _mine(store, canvas, author, message.job, message.op)
        begun = message.accept and kept.is_large
        if kept.state in KEPT_STATES:
            raise Conflict("This edit is not finished yet.", code="not_staged")
        if not message.accept:
            return await _end(store, canvas, author, message.op, kept.job, "discarded", ("staged",))
        return await _accept(store, canvas, author, message, kept)

    return await land(store, canvas, message.op, attempt, is_final=lambda: not begun)


async def _mine(store: Store, canvas: str, author: Author, job: str, op: OpId) -> Kept:
    kept = await read_job(store, canvas, job)
    if kept.job.user != author.user and not author.is_owner:
        raise NotAllowed("Only its author or an owner of the canvas decides an edit.", code="not_yours")
    if kept.state in TERMINAL:
        raise WrongState(kept.state)
    if kept.accepting is not None and kept.accepting.op != op:
        raise WrongState("accepted")
    return kept


async def _end(
    store: Store, canvas: str, author: Author, op: OpId, job: Job, state: JobState, expect: tuple[str, ...]
) -> Committed:
    ended = msgspec.structs.replace(job, state=state)
    commit = Commit(
        op=op,
        user=author.user,
        kind="edit",
        job=JobWrite(job=ended, expect=expect),
        also=await live.ended(store, canvas, job),
        over_budget=True,
    )
    try:
        return await store.commit(canvas, commit)
    except WrongState as error:
        if error.state in TERMINAL:
            raise
        raise Moved("stack") from error  # it was staged in between: look again


async def _accept(store: Store, canvas: str, author: Author, message: Decide, kept: Kept) -> Committed:
    job = kept.job
    if kept.accepting is not None:
        return await carry_out(store, canvas, job, kept.accepting)
    if message.variation >= len(job.results) or job.result_box is None:
        raise BadInput("There is no such variation.", code="bad_variation")

    def aim(view: View) -> Layer:
        return _target(view, job, new_layer=message.new_layer)

    while True:
        view = await store.look(canvas)
        inside = job.result_box.intersect(Box(0, 0, view.canvas.width, view.canvas.height))
        if inside.is_empty:
            raise BadInput("The canvas was cropped meanwhile; this region lies outside.", code="outside")
        wanted = Accepting(op=message.op, user=author.user, variation=message.variation, layer=aim(view), inside=inside)
        try:
            return await carry_out(store, canvas, job, wanted, aim)
        except _Elsewhere:
            continue


class _Elsewhere(Exception):
    """Layers were changed meanwhile, and it would be laid on another one now."""


async def carry_out(
    store: Store, canvas: str, job: Job, wanted: Accepting, aim: Callable[[View], Layer] | None = None
) -> Committed:
    """Lay an accepted result; one of several parts is noted first, and finished by whoever comes by (C3, J5).

    Args:
        aim: what must still give the layer that is wanted, where that was not noted.

    Raises:
        WrongState: ``already_decided``: another decision was noted first.
        LayerGone, NotFound, StorageFull: nothing was laid, or what was noted is tried again by the sweeper.
    """
    assert job.result_box is not None
    result = Result(store, canvas, job.results[wanted.variation], job.result_box)
    parts, group = op_parts(wanted.op, wanted.inside)
    if group and (await note_accepting(store, canvas, job.id, wanted)).op != wanted.op:
        raise WrongState("accepted")
    for number, (op, part) in enumerate(parts[:-1]):
        write = JobWrite(job=job, expect=("staged",))
        piece = await result.cut(part)
        await _lay(store, canvas, wanted, op, write, piece, part, group, over_budget=number > 0)
    also = await live.ended(store, canvas, job)
    op, part = parts[-1]
    write = JobWrite(job=msgspec.structs.replace(job, state="accepted"), expect=("staged",))
    piece = await result.cut(part)
    forget = parts[0][0].client if group else None
    return await _lay(
        store,
        canvas,
        wanted,
        op,
        write,
        piece,
        part,
        group,
        forget=forget,
        also=also,
        over_budget=len(parts) > 1,
        aim=None if group else aim,
    )


async def _lay(
    store: Store,
    canvas: str,
    wanted: Accepting,
    op: OpId,
    write: JobWrite,
    patch: Rgba,
    box: Box,
    group: str,
    *,
    forget: str | None = None,
    also: tuple[JobWrite, ...] = (),
    over_budget: bool,
    aim: Callable[[View], Layer] | None = None,
) -> Committed:
    """One part of the accepted patch; the first one brings the new layer if there is one."""
    layer = wanted.layer
    keys = keys_of(layer.id, box)

    async def attempt() -> Committed:
        view = await store.look(canvas, keys)
        if aim is not None and aim(view).id != layer.id:
            raise _Elsewhere
        at = index_of(view.layers, layer.id)
        if at is None and layer.id != _own_layer(write.job):
            raise LayerGone(layer.id)
        tiles = await lay_patch(store, canvas, view, layer.id, patch, box, over_budget=over_budget)
        index = top_visible(view)
        record = Record(
            user=write.job.user,
            kind="edit",
            tiles=[f"{layer.id}/{key[1]}/{key[2]}" for key in (tile.key for tile in tiles)],
            layers=[] if at is not None else [LayersUndo(what="add", after=layer, index_after=index)],
        )
        commit = Commit(
            op=op,
            user=wanted.user,
            kind="edit",
            tiles=tiles,
            layers=None if at is not None else [*view.layers[:index], layer, *view.layers[index:]],
            layers_version=view.layers_version,
            job=write,
            also=also,
            undo=UndoWrite(record=record, group=group),
            forget=forget,
            over_budget=over_budget,
        )
        return await store.commit(canvas, commit)

    async with store.turns.on(canvas, keys):
        return await land(store, canvas, op, attempt, is_final=lambda: not group)


def _target(view: View, job: Job, *, new_layer: bool) -> Layer:
    """The layer to lay on; one that is not in the list yet is to be made."""
    if not new_layer and job.onto == "layer" and job.layer is not None:
        return view.paintable(job.layer)
    if not new_layer and job.onto == "auto":
        if job.layer is not None and index_of(view.layers, job.layer) is None:
            raise LayerGone(job.layer)
        alone = _alone(view.layers)
        if alone is not None and job.layer in (None, alone.id):
            return alone
    name = job.prompt.strip()[:LAYER_NAME] or ("Erased" if job.mode == "erase" else "Fill")
    return Layer(id=_own_layer(job), name=name)


def _alone(layers: Sequence[Layer]) -> Layer | None:
    """The layer that is all of the picture, as it is and for everybody to change."""
    shown = seen(layers)
    if len(shown) != 1 or is_locked(layers, shown[0]):
        return None
    whole = all(layer.opacity >= 1.0 for layer in (shown[0], *around(layers, shown[0].id)))
    return shown[0] if whole else None


def _own_layer(job: Job) -> str:
    """ID of the layer that a job makes for itself."""
    return f"g{blob_name(job.id.encode())[:16]}"
