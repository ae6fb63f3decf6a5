"""What a server says: the canvas's changes, answers to ops, and what the others are doing (R2, R3)."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from nanobana.protocol.canvas import CanvasInfo, Change, Manifest, OpId, Position, Role
from nanobana.protocol.from_client import Chat, Look, MaskTile, Moving, Stroke
from nanobana.protocol.geometry import Box
from nanobana.protocol.parameters import BlobName, ModelFacts
from nanobana.protocol.wire import PATCH_INLINE, Wire


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """One connection. `user` is the person behind it (stable over reconnects), `id` the connection."""

    id: str
    user: str
    name: str
    color: str
    role: Role


class Welcome(Wire, frozen=True, tag="welcome"):
    """Answer to hello: either `manifest` is set (fresh join, full resync) or the tail follows as `change`s (resume)."""

    protocol: int
    you: Member
    position: Position
    """Where the server's log stands."""
    canvas: CanvasInfo
    members: list[Member]
    manifest: Manifest | None = None
    model: str = ""
    """Name of the model of edits that name none, empty while no engine is there."""


class Resync(Wire, frozen=True, tag="resync"):
    """The reader's position is void (epoch changed, or it fell too far behind): start again from this manifest."""

    manifest: Manifest
    reason: str


class Checksum(Wire, frozen=True, tag="checksum"):
    """What a reader that stands at this very position must find (R9); one that finds otherwise says `Diverged`."""

    position: Position
    sum: int
    """`protocol.checksum.canvas_sum`."""


class Ack(Wire, frozen=True, tag="ack"):
    """The op is durable at seq. Idempotent repeats get the first answer."""

    op: OpId
    seq: int


class Reject(Wire, frozen=True, tag="reject"):
    op: OpId
    code: str
    message: str
    retry_ms: int | None = None


class Changed(Wire, frozen=True, tag="change"):
    """Durable: one log entry, in order of seq."""

    change: Change


class Preview(Wire, frozen=True, tag="preview"):
    """Latest-only: progress of one job (R3). The engine publishes it, servers pass its bytes on."""

    job: str
    state: Literal["queued", "running"]
    place: int = 0
    """Edits ahead of it in the queue; 0 = it is being worked on."""
    wait_s: float = 0.0
    """About how long until an engine takes it; 0 where nobody can say."""
    stage: Literal["", "layout", "rough", "detail", "erase"] = ""
    step: int = 0
    of: int = 0
    tile: int = 0
    """Tiles of the stage that are done; of a large region's refining stages, which run in `tiles`."""
    tiles: int = 1
    box: Box | None = None
    """Canvas pixels that `jpeg` covers (stretched over it)."""
    jpeg: bytes | None = None
    alpha: bytes | None = None
    """Gray PNG of any size, composite mask stretched over `box`; with a first preview only: the client keeps it."""
    variation: int = 0
    patches: tuple[BlobName, ...] = ()
    """Blobs of the finished result, variation by variation: they are stored, and staged in a moment."""
    patch: Annotated[bytes, Meta(max_length=PATCH_INLINE)] | None = None
    """The first of them whole, where it is small: nobody needs to ask for it."""


class Joined(Wire, frozen=True, tag="joined"):
    member: Member


class Left(Wire, frozen=True, tag="left"):
    id: str


class Cursors(Wire, frozen=True, tag="cursors"):
    """Volatile, merged per tick: ``[member id, x | null, y | null]`` rows."""

    rows: list[tuple[str, float | None, float | None]]


class MemberChat(Wire, frozen=True, tag="member_chat"):
    member: str
    chat: Chat


class MemberLook(Wire, frozen=True, tag="member_look"):
    member: str
    look: Look


class MemberStroke(Wire, frozen=True, tag="member_stroke"):
    member: str
    stroke: Stroke


class MemberMoving(Wire, frozen=True, tag="member_moving"):
    member: str
    moving: Moving


class MemberMask(Wire, frozen=True, tag="member_mask"):
    """Volatile: one tile of a member's mask, or (without a tile) that it has none any more."""

    member: str
    tile: MaskTile | None = None
    png: bytes | None = None


class ImportProgress(Wire, frozen=True, tag="import"):
    """Volatile: an uploaded picture is being cut into tiles."""

    op: OpId
    user: str
    done: int
    of: int


class Engines(Wire, frozen=True, tag="engines"):
    """Volatile: how many engines take work and which models they serve; 0 disables Generate with a reason."""

    count: int
    models: tuple[ModelFacts, ...] = ()
    """What can be asked of each; the model of edits that name none comes first."""
    loading: str = ""
    """While there is none: what the first one waits for, in words."""


class Pong(Wire, frozen=True, tag="pong"):
    n: int


class Problem(Wire, frozen=True, tag="problem"):
    """A frame was not understood, or the socket is about to be closed: why, and whether to come back."""

    code: str
    message: str
    retry_ms: int | None = None


ServerMessage = (
    Welcome
    | Resync
    | Checksum
    | Ack
    | Reject
    | Changed
    | Preview
    | Joined
    | Left
    | Cursors
    | MemberChat
    | MemberLook
    | MemberStroke
    | MemberMoving
    | MemberMask
    | ImportProgress
    | Engines
    | Pong
    | Problem
)
