"""Every message both ways (R1–R3). A WebSocket frame is a msgpack array of these; the tag is the field ``t``."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from nanobana.protocol.canvas import (
    CanvasInfo,
    Change,
    Identifier,
    Manifest,
    Opacity,
    OpId,
    Position,
    Role,
    Side,
    Title,
)
from nanobana.protocol.geometry import Box
from nanobana.protocol.parameters import BlobName, EditParams

MAX_FRAME = 262144
"""Largest frame from a client, in bytes (R10)."""

INLINE = 65536
"""Largest patch or mask that may travel inside a message; above it, upload first and name the blob (C11)."""

StrokeKind = Literal["paint", "erase", "mask-brush", "mask-rect", "mask-lasso"]


class _Wire(msgspec.Struct, frozen=True, kw_only=True, tag_field="t", omit_defaults=True):
    pass


# ── client → server ─────────────────────────────────────────────────────────────────────────────────────────────


class Hello(_Wire, frozen=True, tag="hello"):
    """First message, within 5 s. The ticket came from POST …/tickets and works once."""

    protocol: int
    ticket: Annotated[str, Meta(max_length=256)]
    client: Identifier
    position: Position | None = None
    """Resume from here (R5); None joins afresh."""


class Paint(_Wire, frozen=True, tag="paint"):
    """Lay an RGBA patch (straight alpha PNG, exactly the box's size) over a layer, or erase by its alpha."""

    op: OpId
    layer: Identifier
    box: Box
    png: Annotated[bytes, Meta(max_length=INLINE)] | None = None
    blob: BlobName | None = None
    mode: Literal["over", "erase"] = "over"


class LayerAdd(_Wire, frozen=True, tag="layer_add"):
    op: OpId
    layer: Identifier
    name: Title
    above: Identifier | None = None
    """Put it right above this layer; None: on top."""


class LayerSet(_Wire, frozen=True, tag="layer_set"):
    op: OpId
    layer: Identifier
    name: Title | None = None
    visible: bool | None = None
    opacity: Opacity | None = None


class LayerMove(_Wire, frozen=True, tag="layer_move"):
    """Move to an index of the list without it, 0 = bottom."""

    op: OpId
    layer: Identifier
    index: Annotated[int, Meta(ge=0, le=1000)]


class LayerDelete(_Wire, frozen=True, tag="layer_delete"):
    op: OpId
    layer: Identifier


class CanvasSet(_Wire, frozen=True, tag="canvas_set"):
    """Name or size of the canvas. Growing and cropping keep the tiles; what lies outside is just not shown."""

    op: OpId
    title: Title | None = None
    width: Side | None = None
    height: Side | None = None


class Edit(_Wire, frozen=True, tag="edit"):
    """Queue an edit; its job ID will be ``{client}-{n}`` of this op."""

    op: OpId
    edit: EditParams


class Cancel(_Wire, frozen=True, tag="cancel"):
    op: OpId
    job: str


class Decide(_Wire, frozen=True, tag="decide"):
    """Accept one variation of a staged job, or discard it. The first decision wins (code ``already_decided``)."""

    op: OpId
    job: str
    accept: bool
    variation: Annotated[int, Meta(ge=0, le=2)] = 0
    new_layer: bool = False
    """Accept onto a new layer on top, e.g. after ``layer_gone``."""


class Undo(_Wire, frozen=True, tag="undo"):
    """Undo the newest op of mine that is not undone (C9)."""

    op: OpId


class Redo(_Wire, frozen=True, tag="redo"):
    op: OpId


class Cursor(_Wire, frozen=True, tag="cursor"):
    """Volatile. Canvas pixels; None when the pointer left the canvas."""

    x: float | None = None
    y: float | None = None


class Stroke(_Wire, frozen=True, tag="stroke"):
    """Volatile: the newest points of a stroke in progress, so that others see it being drawn."""

    id: Identifier
    kind: StrokeKind
    points: Annotated[list[float], Meta(max_length=3000)]
    """Flat x, y, pressure triples, in canvas pixels; appended to those sent before under the same id."""
    size: float = 16.0
    color: Annotated[str, Meta(pattern="^#[0-9a-f]{6}$")] = "#000000"
    subtract: bool = False
    done: bool = False


class Mask(_Wire, frozen=True, tag="mask"):
    """Volatile, latest only: my whole mask now (gray PNG of the box's size), or none. Newcomers get the last one."""

    box: Box | None = None
    png: Annotated[bytes, Meta(max_length=INLINE)] | None = None


class Ping(_Wire, frozen=True, tag="ping"):
    n: int = 0


Op = Paint | LayerAdd | LayerSet | LayerMove | LayerDelete | CanvasSet | Edit | Cancel | Decide | Undo | Redo
ClientMessage = (
    Hello
    | Paint
    | LayerAdd
    | LayerSet
    | LayerMove
    | LayerDelete
    | CanvasSet
    | Edit
    | Cancel
    | Decide
    | Undo
    | Redo
    | Cursor
    | Stroke
    | Mask
    | Ping
)


# ── server → client ─────────────────────────────────────────────────────────────────────────────────────────────


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """One connection. `user` is the person behind it (stable over reconnects), `id` the connection."""

    id: str
    user: str
    name: str
    color: str
    role: Role


class Welcome(_Wire, frozen=True, tag="welcome"):
    """Answer to hello: either `manifest` is set (fresh join, full resync) or the tail follows as `change`s (resume)."""

    protocol: int
    you: Member
    position: Position
    """Where the server's log stands."""
    canvas: CanvasInfo
    members: list[Member]
    manifest: Manifest | None = None
    model: str = ""
    """Name of the engine's default model, empty while no engine is there."""


class Resync(_Wire, frozen=True, tag="resync"):
    """The reader's position is void (epoch changed, or it fell too far behind): start again from this manifest."""

    manifest: Manifest
    reason: str


class Ack(_Wire, frozen=True, tag="ack"):
    """The op is durable at seq. Idempotent repeats get the first answer."""

    op: OpId
    seq: int


class Reject(_Wire, frozen=True, tag="reject"):
    op: OpId
    code: str
    message: str
    retry_ms: int | None = None


class Changed(_Wire, frozen=True, tag="change"):
    """Durable: one log entry, in order of seq."""

    change: Change


class Preview(_Wire, frozen=True, tag="preview"):
    """Latest-only: progress of one job (R3). The engine publishes it, servers pass its bytes on."""

    job: str
    state: Literal["queued", "running"]
    place: int = 0
    """Edits ahead of it in the queue; 0 = it is being worked on."""
    stage: Literal["", "layout", "rough", "detail", "erase"] = ""
    step: int = 0
    of: int = 0
    box: Box | None = None
    """Canvas pixels that `jpeg` covers (stretched over it)."""
    jpeg: bytes | None = None
    alpha: bytes | None = None
    """Gray PNG, composite mask over `box`; sent with a job's first preview only: the client keeps it."""
    variation: int = 0


class Joined(_Wire, frozen=True, tag="joined"):
    member: Member


class Left(_Wire, frozen=True, tag="left"):
    id: str


class Cursors(_Wire, frozen=True, tag="cursors"):
    """Volatile, merged per tick: ``[member id, x | null, y | null]`` rows."""

    rows: list[tuple[str, float | None, float | None]]


class MemberStroke(_Wire, frozen=True, tag="member_stroke"):
    member: str
    stroke: Stroke


class MemberMask(_Wire, frozen=True, tag="member_mask"):
    member: str
    box: Box | None = None
    png: bytes | None = None


class ImportProgress(_Wire, frozen=True, tag="import"):
    """Volatile: an uploaded picture is being cut into tiles."""

    op: OpId
    user: str
    done: int
    of: int


class Engines(_Wire, frozen=True, tag="engines"):
    """Volatile: how many engines are alive and which model they run; 0 disables Generate with a reason."""

    count: int
    model: str = ""


class Pong(_Wire, frozen=True, tag="pong"):
    n: int


class Problem(_Wire, frozen=True, tag="problem"):
    """A frame was not understood, or the socket is about to be closed: why, and whether to come back."""

    code: str
    message: str
    retry_ms: int | None = None


ServerMessage = (
    Welcome
    | Resync
    | Ack
    | Reject
    | Changed
    | Preview
    | Joined
    | Left
    | Cursors
    | MemberStroke
    | MemberMask
    | ImportProgress
    | Engines
    | Pong
    | Problem
)


# ── close codes (R8): 4000–4499 come back, 4500–4999 do not ─────────────────────────────────────────────────────

CLOSE_SLOW = 4000
CLOSE_DRAINING = 4001
CLOSE_TICKET = 4002
CLOSE_RATE = 4003
CLOSE_STORE = 4004
CLOSE_REVOKED = 4500
CLOSE_PROTOCOL = 4501
CLOSE_BAD_FRAME = 4502
CLOSE_ROOM_FULL = 4503
CLOSE_GONE = 4504
