"""Submit: an edit becomes a durable op with its job record and outbox entry, then a ticket for the engines (J1)."""

import secrets
import time

import msgspec
import structlog

from nanobana.protocol.canvas import Job
from nanobana.protocol.errors import BadInput, TooMany, Unavailable
from nanobana.protocol.geometry import Box
from nanobana.protocol.jobs import JobSpec
from nanobana.protocol.messages import Edit
from nanobana.protocol.parameters import EditParams
from nanobana.raster.codec import blob_name, encode_png
from nanobana.raster.decode import decode_mask
from nanobana_server.jobs import live
from nanobana_server.jobs.queue import announce, send
from nanobana_server.jobs.records import KEPT_STATES, open_jobs
from nanobana_server.jobs.served import look
from nanobana_server.store import Store
from nanobana_server.store.ops.landing import land
from nanobana_server.store.types import Author, Commit, Committed, JobWrite, Record, UndoWrite, View

MAX_OPEN = 20
"""Edits of one user that may be queued, running or staged on one canvas."""

FAINT = 8
"""Mask values below are nothing (E1)."""

_log = structlog.get_logger("nanobana.jobs")


async def submit(store: Store, canvas: str, author: Author, message: Edit) -> Committed:
    """Queue an edit. Its job is ``{client}-{n}``; an older one of the same user on the same region is superseded.

    Returns:
        The op, durable; the ticket is on the engines' stream, or the sweeper will put it there.

    Raises:
        BadInput: ``bad_mask``, ``empty_mask``, ``outside``, ``model_away``: no engine serves the model that it names;
            ``no_layer``.
        LayerGone: the layer that the edit names is gone.
        LayerLocked: so is the one that the result is to be laid on.
        NotFound: ``missing_blob``: mask or references were not uploaded.
        TooMany: ``too_many_edits``.
    """
    sent: list[JobSpec] = []
    routed = (await look(store)).routed(message.edit)

    async def attempt() -> Committed:
        view = await store.look(canvas)
        if message.edit.onto == "layer":
            if message.edit.layer is None:
                raise BadInput("Choose the layer that the result is laid on.", code="no_layer")
            view.paintable(message.edit.layer)
        elif message.edit.layer is not None:
            view.layer(message.edit.layer)
        prepared, mask = await _prepared(store, canvas, view, routed)
        params = live.drafted(prepared)
        spec, job = _job(canvas, author, message, params)
        others = [other for other in await open_jobs(store, canvas) if other.user == author.user]
        if sum(not live.is_same(other, job) for other in others) >= MAX_OPEN:
            raise TooMany(f"You have {MAX_OPEN} edits open here; decide some of them first.", code="too_many_edits")
        older = [other for other in others if other.state in KEPT_STATES and _gives_way(other, job)]
        await announce(store, canvas)
        commit = Commit(
            op=message.op,
            user=author.user,
            kind="edit",
            job=JobWrite(job=job, expect=("",), spec=spec),
            also=tuple(_superseded(other) for other in older if other.id != job.id),
            undo=UndoWrite(
                record=Record(user=author.user, kind="edit", job=job.id),
                group=f"live-{job.live}" if job.live else "",
                instead=True,
            ),
        )
        done = await store.commit(canvas, commit, blobs=mask)
        if done.first_time:
            sent.append(spec)
        return done

    done = await land(store, canvas, message.op, attempt)
    for spec in sent:
        try:
            await send(store, spec)
        except Unavailable as error:  # it is in the outbox: the sweeper sends it
            _log.warning("job not sent yet", canvas=canvas, job=spec.job, code=error.code)
        _log.info("job queued", canvas=canvas, job=spec.job, mode=spec.edit.mode, lane=spec.edit.lane, seq=done.seq)
    return done


async def _prepared(store: Store, canvas: str, view: View, params: EditParams) -> tuple[EditParams, dict[str, bytes]]:
    """The edit with its mask as a blob inside the canvas, and its seed drawn; and that blob, which is to be stored."""
    inside = params.box.intersect(Box(0, 0, view.canvas.width, view.canvas.height))
    if inside.is_empty:
        raise BadInput("This region lies outside the canvas.", code="outside")
    if (params.mask_png is None) == (params.mask_blob is None):
        raise BadInput("An edit has its mask either inline or as a blob.", code="bad_mask")
    data = params.mask_png if params.mask_png is not None else await store.get_blob(canvas, params.mask_blob or "")
    name, checked = await store.pool.run(_mask, data, params.box, inside)
    seed = params.seed if params.seed is not None else secrets.randbelow(2**32)
    return msgspec.structs.replace(params, box=inside, mask_png=None, mask_blob=name, seed=seed), {name: checked}


def _mask(data: bytes, box: Box, inside: Box) -> tuple[str, bytes]:
    """Name and checked bytes of a mask, cut to the canvas."""
    mask = decode_mask(data, box)
    cut = mask[inside.y0 - box.y0 : inside.y1 - box.y0, inside.x0 - box.x0 : inside.x1 - box.x0]
    if not (cut >= FAINT).any():
        raise BadInput("The mask is empty: paint over what should change.", code="empty_mask")
    kept = data if inside == box else encode_png(cut)
    return blob_name(kept), kept


def _job(canvas: str, author: Author, message: Edit, params: EditParams) -> tuple[JobSpec, Job]:
    job = f"{message.op.client}-{message.op.n}"
    created_ms = time.time_ns() // 1_000_000
    spec = JobSpec(canvas=canvas, job=job, user=author.user, edit=params, layer=params.layer, created_ms=created_ms)
    public = Job(
        id=job,
        state="queued",
        user=author.user,
        user_name=author.name,
        color=author.color,
        mode=params.mode,
        model=params.model or "",
        prompt=params.prompt,
        negative=params.negative,
        seed=params.seed or 0,
        strength=params.strength,
        feather=params.feather,
        grow=params.grow,
        exact_edge=params.exact_edge,
        quality=params.quality,
        detail=params.detail,
        steps=params.steps,
        guidance=params.guidance,
        style=params.style,
        loras=params.loras,
        variations=params.variations,
        box=params.box,
        mask=params.mask_blob or "",
        layer=params.layer,
        onto=params.onto,
        live=params.live or "",
        created_ms=created_ms,
    )
    return spec, public


def _gives_way(older: Job, newer: Job) -> bool:
    """Whether a newer edit of the same author makes one that is not staged pointless."""
    return live.is_same(older, newer) or not older.box.intersect(newer.box).is_empty


def _superseded(job: Job) -> JobWrite:
    ended = msgspec.structs.replace(job, state="superseded")
    return JobWrite(job=ended, expect=KEPT_STATES, soft=True)
