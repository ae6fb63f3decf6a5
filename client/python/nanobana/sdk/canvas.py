"""A joined canvas: what is on it, what happens on it, and everything one may do there."""

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from typing import Literal

import anyio
import numpy as np
import numpy.typing as npt

from nanobana.protocol import messages as m
from nanobana.protocol.canvas import Blend, Job, Layer, OpId, Position
from nanobana.protocol.errors import BadInput, NotFound, Unavailable
from nanobana.protocol.geometry import Affine, Box, tile_box, tiles_of
from nanobana.protocol.parameters import EditParams, ModelFacts, Reference
from nanobana.protocol.replica import Replica
from nanobana.raster.codec import decode_tile, encode_png
from nanobana.raster.patches import chunks, crop
from nanobana.sdk.comments import Comments
from nanobana.sdk.connection import Connection
from nanobana.sdk.http import Arrived, CanvasHttp
from nanobana.sdk.link import Link
from nanobana.sdk.past import Past

LARGEST = 2048
"""Side of the largest patch that is sent as one op (C3)."""

Mask = npt.NDArray[np.uint8]
"""[height, width] uint8, 255 = regenerate."""


class EventStream:
    """One reader's queue of server messages: at most `limit` wait; a reader that falls behind is told so."""

    def __init__(self, limit: int = 2000) -> None:
        self._queue: asyncio.Queue[m.ServerMessage | Exception] = asyncio.Queue(limit + 1)
        self._limit = limit
        self._lost = False

    def put(self, message: m.ServerMessage | Exception) -> None:
        if self._lost:
            return
        if self._queue.qsize() >= self._limit:
            self._lost = True
            message = Unavailable("this reader fell behind; read the canvas anew", code="fell_behind")
        self._queue.put_nowait(message)

    def __aiter__(self) -> "EventStream":
        return self

    async def __anext__(self) -> m.ServerMessage:
        message = await self._queue.get()
        if isinstance(message, Exception):
            raise message
        return message


class Canvas:
    """A canvas as one member has it. Made by `join`; safe to use from one event loop."""

    def __init__(self, http: CanvasHttp) -> None:
        self.http = http
        self.client = secrets.token_urlsafe(9)
        self.replica = Replica()
        self.you: m.Member | None = None
        self.members: dict[str, m.Member] = {}
        self.models: tuple[ModelFacts, ...] = ()
        """That engines serve, with what can be asked of each; the one of edits that name none first."""
        self.comments = Comments(http, self.next_op, self._settled)
        self.past = Past(http, self.replica, self.next_op, self._settled)
        self._n = 0
        self._streams: set[EventStream] = set()
        self._finished: dict[str, Job] = {}
        self._moved = asyncio.Event()
        self.connection = Connection(http, self.client, position=self._position, receive=self._receive)

    @property
    def layers(self) -> list[Layer]:
        """Bottom to top."""
        return self.replica.layers

    @contextlib.contextmanager
    def events(self) -> Iterator[EventStream]:
        """Server messages from now on: ``with canvas.events() as events: async for message in events: …``."""
        stream = EventStream()
        self._streams.add(stream)
        try:
            yield stream
        finally:
            self._streams.discard(stream)

    def next_op(self) -> OpId:
        self._n += 1
        return OpId(self.client, self._n)

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait until something is true of the replica; looked at after every message."""
        while not holds():
            self._moved.clear()
            if holds():
                return
            await self._moved.wait()

    # ── layers and pixels ───────────────────────────────────────────────────────────────────────────────────────

    async def add_layer(self, name: str) -> str:
        """A new empty layer on top; returns its ID."""
        layer = secrets.token_hex(6)
        await self._settled(m.LayerAdd(op=self.next_op(), layer=layer, name=name))
        return layer

    async def set_layer(
        self,
        layer: str,
        *,
        name: str | None = None,
        visible: bool | None = None,
        opacity: float | None = None,
        blend: Blend | None = None,
        locked: bool | None = None,
    ) -> None:
        """Change what is given; raises NanobanaError ``layer_locked`` where somebody locked it."""
        set_ = m.LayerSet(
            op=self.next_op(), layer=layer, name=name, visible=visible, opacity=opacity, blend=blend, locked=locked
        )
        await self._settled(set_)

    async def move_layer(self, layer: str, index: int, *, into: str | None = None) -> None:
        """To an index of `layers` without it (and what is in it), 0 = bottom; `into`: a group, "" for out of all."""
        await self._settled(m.LayerMove(op=self.next_op(), layer=layer, index=index, parent=into))

    async def delete_layer(self, layer: str) -> None:
        """A group goes with all that is in it."""
        await self._settled(m.LayerDelete(op=self.next_op(), layer=layer))

    async def group_layers(self, layers: Sequence[str], name: str = "Group") -> str:
        """A new group of these, where the topmost of them is; returns its ID."""
        group = secrets.token_hex(6)
        await self._settled(m.LayerGroup(op=self.next_op(), layer=group, name=name, members=list(layers)))
        return group

    async def ungroup(self, group: str) -> None:
        """The group goes, what is in it stays."""
        await self._settled(m.LayerUngroup(op=self.next_op(), layer=group))

    async def duplicate_layer(self, layer: str) -> str:
        """A copy right above it, of a group with all that is in it; returns its ID."""
        copy = secrets.token_hex(6)
        await self._settled(m.LayerDuplicate(op=self.next_op(), layer=layer, copy=copy))
        return copy

    async def merge_down(self, layer: str) -> None:
        """Burn a layer, or a group, into the layer beneath it; raises BadInput ``nothing_below``."""
        await self._settled(m.LayerMerge(op=self.next_op(), layer=layer))

    async def resize(self, width: int, height: int) -> None:
        await self._settled(m.CanvasSet(op=self.next_op(), width=width, height=height))

    async def add_image(self, data: bytes, *, name: str = "picture", x: int = 0, y: int = 0) -> str:
        """A JPEG, PNG or WebP as a new layer, upright by its EXIF; returns the layer's ID."""
        layer = secrets.token_hex(6)
        seq = await self.http.upload(data, op=self.next_op(), layer=layer, name=name, x=x, y=y)
        await self.until(lambda: self.replica.position.seq >= seq)
        return layer

    async def add_open_raster(self, data: bytes, *, name: str = "Layers", x: int = 0, y: int = 0) -> Arrived:
        """The layers of an OpenRaster file, in a group; a canvas without a size becomes what the file is.

        Raises BadInput ``bad_open_raster``, with what is wrong with it.
        """
        layer = secrets.token_hex(6)
        made = await self.http.upload_layers(data, op=self.next_op(), layer=layer, name=name, x=x, y=y)
        await self.until(lambda: self.replica.position.seq >= made.seq)
        return made

    async def paint(self, layer: str, x: int, y: int, rgba: npt.NDArray[np.uint8], *, erase: bool = False) -> int:
        """Lay straight-alpha pixels [h, w, 4] over a layer at (x, y), or erase by their alpha; returns the seq.

        However large they are, one `undo` takes them back (C3), and where there is no room for all none are laid:
        everything is sent first, and a stroke that was begun is finished (C12).
        """
        whole = Box(x, y, x + rgba.shape[1], y + rgba.shape[0])
        boxes = [whole]
        if max(whole.width, whole.height) > LARGEST:
            inside = whole.intersect(Box(0, 0, self.replica.info.width, self.replica.info.height))
            boxes = chunks(inside, LARGEST) or boxes
        sent: list[tuple[Box, bytes | None, str | None]] = []
        for box in boxes:
            png = encode_png(crop(rgba, whole, box))
            sent.append((box, None, await self.http.put_blob(png)) if len(png) > m.INLINE else (box, png, None))
        seq, group = 0, None
        for box, inline, blob in sent:
            op = self.next_op()
            if len(boxes) > 1 and group is None:
                group = op.n
            mode: Literal["over", "erase"] = "erase" if erase else "over"
            seq = await self._settled(
                m.Paint(op=op, layer=layer, box=box, png=inline, blob=blob, mode=mode, group=group)
            )
        return seq

    async def transform(self, layer: str, matrix: Affine, *, mask: Mask | None = None, x: int = 0, y: int = 0) -> int:
        """Move, scale, turn or flip a layer's pixels; one `undo` takes it back (C14).

        Args:
            matrix: of canvas pixels, e.g. from `nanobana.raster.affine.about`; whole steps, quarter turns and flips
                copy every byte.
            mask: [h, w] uint8 placed at (x, y): only what is under it, 255 = moves along; None: all of the layer.

        Raises:
            BadInput: ``bad_transform``, ``nothing_to_move``.
        """
        png = None if mask is None else encode_png(mask)
        blob = await self.http.put_blob(png) if png is not None and len(png) > m.INLINE else None
        box = None if mask is None else Box(x, y, x + mask.shape[1], y + mask.shape[0])
        message = m.Transform(
            op=self.next_op(), layer=layer, matrix=matrix, box=box, mask_png=None if blob else png, mask_blob=blob
        )
        return await self._settled(message)

    async def pixels(self, layer: str, box: Box) -> npt.NDArray[np.uint8]:
        """What one layer holds in a box, [h, w, 4] straight alpha."""
        out = np.zeros((box.height, box.width, 4), np.uint8)
        for tx, ty in tiles_of(box):
            name = self.replica.tiles.get((layer, tx, ty))
            if name is None:
                continue
            tile = decode_tile(await self.http.blob(name))
            at = tile_box(tx, ty)
            cut = at.intersect(box)
            out[cut.y0 - box.y0 : cut.y1 - box.y0, cut.x0 - box.x0 : cut.x1 - box.x0] = tile[
                cut.y0 - at.y0 : cut.y1 - at.y0, cut.x0 - at.x0 : cut.x1 - at.x0
            ]
        return out

    async def export(self, box: Box | None = None) -> bytes:
        """PNG of the visible canvas, or of a box of it; raises BadInput ``outside`` where nothing is in it."""
        return await self.http.export(box)

    async def export_open_raster(self) -> bytes:
        """The canvas with its layers, groups and blend modes as an OpenRaster file, for GIMP, Krita and others."""
        return await self.http.open_raster()

    async def save(self, *, history: bool = True) -> bytes:
        """The whole canvas as one file, layers and all, for `open_canvas_file` here or on another server."""
        return await self.http.file(history=history)

    # ── edits ───────────────────────────────────────────────────────────────────────────────────────────────────

    async def edit(
        self,
        mask: Mask,
        x: int,
        y: int,
        prompt: str = "",
        *,
        model: str | None = None,
        references: Sequence[bytes] = (),
        **parameters: object,
    ) -> str:
        """Queue a fill of the masked region; returns the job's ID.

        Args:
            mask: [h, w] uint8 placed at (x, y), 255 = regenerate.
            model: one of `models`, by name; None: the first of them.
            references: pictures to follow (PNG, WebP or JPEG bytes).
            parameters: any other field of `EditParams`, e.g. ``mode="erase"``, ``seed=7``, ``variations=3``,
                ``style="Ink"``, ``loras=[Lora(name="toy", weight=0.6)]``.
        """
        png = encode_png(mask)
        blob = await self.http.put_blob(png) if len(png) > m.INLINE else None
        box = Box(x, y, x + mask.shape[1], y + mask.shape[0])
        named = [Reference(blob=await self.http.put_blob(picture)) for picture in references]
        params = EditParams(
            box=box,
            mask_png=None if blob else png,
            mask_blob=blob,
            prompt=prompt,
            model=model,
            references=named,
            **parameters,  # type: ignore[arg-type]
        )
        op = self.next_op()
        await self._settled(m.Edit(op=op, edit=params))
        return f"{op.client}-{op.n}"

    async def staged(self, job: str) -> Job:
        """Wait for an edit's result.

        Raises:
            BadInput: the edit failed; the text says why.
            NotFound: it was cancelled, superseded or discarded.
        """
        return await self._job(job, lambda now: now.state == "staged")

    async def accept(self, job: str, variation: int = 0, *, new_layer: bool = False) -> int:
        """Burn one variation in; raises NanobanaError ``already_decided`` when somebody was first."""
        op = self.next_op()
        return await self._settled(m.Decide(op=op, job=job, accept=True, variation=variation, new_layer=new_layer))

    async def discard(self, job: str) -> int:
        return await self._settled(m.Decide(op=self.next_op(), job=job, accept=False))

    async def cancel(self, job: str) -> int:
        return await self._settled(m.Cancel(op=self.next_op(), job=job))

    async def undo(self) -> int:
        """Undo my newest op that is not undone."""
        return await self._settled(m.Undo(op=self.next_op()))

    async def redo(self) -> int:
        return await self._settled(m.Redo(op=self.next_op()))

    async def undo_person(self, user: str, minutes: int) -> int:
        """As an owner: take back what somebody did in the last minutes (10 at most); my `redo` brings it back."""
        return await self._settled(m.UndoPerson(op=self.next_op(), user=user, minutes=minutes))

    # ── inside ──────────────────────────────────────────────────────────────────────────────────────────────────

    async def _settled(self, message: m.Op) -> int:
        """Send, and wait until the replica holds the result too."""
        seq = await self.connection.send(message)
        await self.until(lambda: self.replica.position.seq >= seq)
        return seq

    async def _job(self, job: str, reached: Callable[[Job], bool]) -> Job:
        def now() -> Job | None:
            return self.replica.jobs.get(job) or self._finished.get(job)

        await self.until(lambda: (found := now()) is not None and (reached(found) or found.id in self._finished))
        found = now()
        if found is None or not reached(found):
            if found is not None and found.state == "failed":
                raise BadInput(found.error or "the edit failed", code=found.error_code or "failed")
            raise NotFound(f"edit {job} is {found.state if found else 'gone'}", code="edit_over")
        return found

    def _position(self) -> Position | None:
        return self.replica.position if self.replica.position.epoch else None

    def _receive(self, message: m.ServerMessage) -> m.ClientMessage | None:
        """Take a message in; what is to be said to it, if anything."""
        answer: m.ClientMessage | None = None
        match message:
            case m.Welcome():
                self.you = message.you
                self.members = {member.id: member for member in message.members}
                if message.manifest is not None:
                    self.replica.load(message.manifest)
            case m.Resync():
                self.replica.load(message.manifest)
            case m.Checksum(position=position, sum=wanted) if position == self.replica.position:
                found = self.replica.sum()
                answer = m.Diverged(position=position, sum=found) if found != wanted else None
            case m.Changed(change=change):
                self.replica.apply(change)
                if change.job is not None and change.job.id not in self.replica.jobs:
                    self._finished[change.job.id] = change.job
            case m.Engines(models=models):
                self.models = models
            case m.Joined(member=member):
                self.members[member.id] = member
            case m.Left(id=gone):
                self.members.pop(gone, None)
            case _:
                pass
        self._moved.set()
        for stream in list(self._streams):
            stream.put(message)
        return answer


@contextlib.asynccontextmanager
async def join(link: str, *, name: str = "script") -> AsyncIterator[Canvas]:
    """Join a canvas by its share link, for as long as the block runs; reconnects by itself.

    Raises:
        BadInput: the link is malformed.
        NotAllowed: wrong or revoked secret.
        Unavailable: nobody answers there.
    """
    async with CanvasHttp(Link.parse(link), name=name) as http:
        await http.authorise()
        canvas = Canvas(http)
        task = asyncio.create_task(canvas.connection.run(), name=f"canvas {http.link.canvas}")
        try:
            await _first(canvas.connection.ready(), task)
            yield canvas
        finally:
            task.cancel()
            with anyio.CancelScope(shield=True), contextlib.suppress(asyncio.CancelledError):
                await task


async def _first(ready: Awaitable[None], task: "asyncio.Task[None]") -> None:
    """Wait for the welcome, or for the connection's own failure."""
    waiting = asyncio.ensure_future(ready)
    await asyncio.wait({waiting, task}, return_when=asyncio.FIRST_COMPLETED)
    if not waiting.done():
        waiting.cancel()
        task.result()
    await waiting
