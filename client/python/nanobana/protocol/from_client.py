"""What a client says: hello first, then ops that are answered, and volatile traffic that is not (R2, R3)."""

from typing import Annotated, Literal

from msgspec import Meta

from nanobana.protocol.canvas import Blend, CommentText, Identifier, Number, Opacity, OpId, Position, Side, Title
from nanobana.protocol.geometry import MAX_SIDE, TILE, Affine, Box
from nanobana.protocol.parameters import BlobName, EditParams, ModelName
from nanobana.protocol.wire import INLINE, Wire

TileIndex = Annotated[int, Meta(ge=0, lt=MAX_SIDE // TILE)]
Seq = Annotated[int, Meta(ge=0, le=2**53 - 1)]
MaskTile = tuple[TileIndex, TileIndex]
"""Column and row in the tile grid."""

Parent = Annotated[str, Meta(pattern="^[A-Za-z0-9_-]{0,64}$")]
"""A group's ID, or "" for the top level."""

MOST_MINUTES = 10
"""As far as `UndoPerson` reaches: the log keeps so much at least (C8)."""

StrokeKind = Literal["paint", "erase", "mask-brush", "mask-rect", "mask-lasso"]


class Hello(Wire, frozen=True, tag="hello"):
    """First message, within 5 s. The ticket came from POST …/tickets and works once."""

    protocol: int
    ticket: Annotated[str, Meta(max_length=256)]
    client: Identifier
    position: Position | None = None
    """Resume from here (R5); None joins afresh."""


class Paint(Wire, frozen=True, tag="paint"):
    """Lay an RGBA patch (straight alpha PNG, exactly the box's size) over a layer, or erase by its alpha."""

    op: OpId
    layer: Identifier
    box: Box
    png: Annotated[bytes, Meta(max_length=INLINE)] | None = None
    blob: BlobName | None = None
    mode: Literal["over", "erase"] = "over"
    group: Number | None = None
    """Parts of one stroke carry one number of their client's, the `n` of the first: undone as one (C3)."""


class Transform(Wire, frozen=True, tag="transform"):
    """Move, scale, turn or flip a layer's pixels, all of them or those under a mask; the server makes them (C14)."""

    op: OpId
    layer: Identifier
    matrix: Affine
    box: Box | None = None
    """Of the mask; None: all of the layer."""
    mask_png: Annotated[bytes, Meta(max_length=INLINE)] | None = None
    """Gray, of exactly the box's size, 255 = moves along; either this or the name of a blob."""
    mask_blob: BlobName | None = None
    group: Number | None = None
    """The `n` of my op that brought these pixels in, of the same client: placing a picture is undone as one (C14)."""


class LayerAdd(Wire, frozen=True, tag="layer_add"):
    op: OpId
    layer: Identifier
    name: Title
    above: Identifier | None = None
    """Put it right above this layer; None: on top."""


class LayerSet(Wire, frozen=True, tag="layer_set"):
    op: OpId
    layer: Identifier
    name: Title | None = None
    visible: bool | None = None
    opacity: Opacity | None = None
    blend: Blend | None = None
    locked: bool | None = None


class LayerMove(Wire, frozen=True, tag="layer_move"):
    """Move to an index of the list without it, 0 = bottom; a group goes with all that is in it."""

    op: OpId
    layer: Identifier
    index: Annotated[int, Meta(ge=0, le=1000)]
    parent: Parent | None = None
    """Into this group, "" for out of all; None: where it is. Among what is there, the index decides."""


class LayerDelete(Wire, frozen=True, tag="layer_delete"):
    """A group goes with all that is in it."""

    op: OpId
    layer: Identifier


class LayerGroup(Wire, frozen=True, tag="layer_group"):
    """A new group, where the topmost of its members is, with all of them in it; without members an empty one on top."""

    op: OpId
    layer: Identifier
    name: Title
    members: Annotated[list[Identifier], Meta(max_length=200)]


class LayerUngroup(Wire, frozen=True, tag="layer_ungroup"):
    """The group goes, what is in it stays where it is."""

    op: OpId
    layer: Identifier


class LayerDuplicate(Wire, frozen=True, tag="layer_duplicate"):
    """A copy right above it, of a group with all that is in it; `copy` is the new layer's ID."""

    op: OpId
    layer: Identifier
    copy: Identifier


class LayerMerge(Wire, frozen=True, tag="layer_merge"):
    """Burn a layer, or a group, into the layer right beneath it; that one is as opaque as it looked then."""

    op: OpId
    layer: Identifier


class CanvasSet(Wire, frozen=True, tag="canvas_set"):
    """Name or size of the canvas. Growing and cropping keep the tiles; what lies outside is just not shown."""

    op: OpId
    title: Title | None = None
    width: Side | None = None
    height: Side | None = None


class Edit(Wire, frozen=True, tag="edit"):
    """Queue an edit; its job ID will be ``{client}-{n}`` of this op."""

    op: OpId
    edit: EditParams


class Cancel(Wire, frozen=True, tag="cancel"):
    op: OpId
    job: str


class Decide(Wire, frozen=True, tag="decide"):
    """Accept one variation of a staged job, or discard it. The first decision wins (code ``already_decided``)."""

    op: OpId
    job: str
    accept: bool
    variation: Annotated[int, Meta(ge=0, le=2)] = 0
    new_layer: bool = False
    """Accept onto a new layer on top, e.g. after ``layer_gone``."""


class Undo(Wire, frozen=True, tag="undo"):
    """Undo the newest op of mine that is not undone (C9)."""

    op: OpId


class Redo(Wire, frozen=True, tag="redo"):
    op: OpId


class UndoPerson(Wire, frozen=True, tag="undo_person"):
    """Take back what somebody else did in the last minutes, in one step that my redo brings back (C9)."""

    op: OpId
    user: Annotated[str, Meta(min_length=1, max_length=64)]
    minutes: Annotated[int, Meta(ge=1, le=MOST_MINUTES)]


class CommentAdd(Wire, frozen=True, tag="comment_add"):
    """Pin a new thread at (x, y), or reply to one that is there, which opens it again."""

    op: OpId
    thread: Identifier
    """Made by the client for a new one."""
    text: CommentText
    x: float | None = None
    """Canvas pixels; None: a reply."""
    y: float | None = None


class CommentDelete(Wire, frozen=True, tag="comment_delete"):
    """Take back a comment of mine (an owner: anybody's). A thread goes with its last one."""

    op: OpId
    thread: Identifier
    comment: Annotated[str, Meta(max_length=128)]


class ThreadResolve(Wire, frozen=True, tag="thread_resolve"):
    """Say that a thread is dealt with, or that it is not."""

    op: OpId
    thread: Identifier
    resolved: bool


class Restore(Wire, frozen=True, tag="restore"):
    """Make the canvas, or one region of every layer, what it was right after an earlier change; undone like any op."""

    op: OpId
    seq: Seq
    box: Box | None = None
    """Only this region; layers, size and what lies outside stay. None: everything but the title."""


class VersionSet(Wire, frozen=True, tag="version_set"):
    """Give a moment a name; an empty name takes the version off the list again."""

    op: OpId
    version: Identifier
    name: Title
    seq: Seq


class Cursor(Wire, frozen=True, tag="cursor"):
    """Volatile. Canvas pixels; None when the pointer left the canvas."""

    x: float | None = None
    y: float | None = None


class Chat(Wire, frozen=True, tag="chat"):
    """Volatile, latest only: what I am saying at my cursor, as far as it is typed; empty: nothing more."""

    text: Annotated[str, Meta(max_length=120)] = ""


class Look(Wire, frozen=True, tag="look"):
    """Volatile, latest only: the part of the canvas that I see, for those who follow me. Canvas pixels."""

    x0: float
    y0: float
    x1: float
    y1: float


class Stroke(Wire, frozen=True, tag="stroke"):
    """Volatile: the newest points of a stroke in progress, so that others see it being drawn."""

    id: Identifier
    kind: StrokeKind
    points: Annotated[list[float], Meta(max_length=3000)]
    """Flat x, y, pressure triples, in canvas pixels; appended to those sent before under the same id."""
    size: float = 16.0
    color: Annotated[str, Meta(pattern="^#[0-9a-f]{6}$")] = "#000000"
    subtract: bool = False
    masked: bool = False
    """Paint and eraser reach only what is inside my mask, as it was shown last."""
    done: bool = False


class Moving(Wire, frozen=True, tag="moving"):
    """Volatile, latest only: where I hold a layer's pixels before they are put down with a `Transform`."""

    layer: Identifier
    matrix: Affine | None = None
    """None: I let go of them; they are where they were, or a `Transform` says where."""
    masked: bool = False
    """Only those under my mask, as it was shown last."""


class Mask(Wire, frozen=True, tag="mask"):
    """Volatile, latest only: one tile of my mask (gray PNG of 256²; none: empty now), or that I have no mask any more.

    So a mask of any size is shown, and a stroke costs the tiles that it touched. Newcomers get what stands.
    """

    tile: MaskTile | None = None
    png: Annotated[bytes, Meta(max_length=INLINE + 1024)] | None = None


class Prepare(Wire, frozen=True, tag="prepare"):
    """Volatile, latest only: I may soon ask for an edit of this region; nobody is shown it.

    An idle engine then does what needs only the picture and the mask. Lost or never sent, the edit takes longer.
    """

    box: Box
    png: Annotated[bytes, Meta(max_length=INLINE)]
    """The mask as the edit would carry it."""
    model: ModelName | None = None
    """As the edit would name it."""


class Diverged(Wire, frozen=True, tag="diverged"):
    """My copy is not what the `Checksum` of this position says; answered with a Resync (R9)."""

    position: Position
    sum: int
    """Of what I have."""


class Ping(Wire, frozen=True, tag="ping"):
    n: int = 0


LayerOp = LayerAdd | LayerSet | LayerMove | LayerDelete | LayerGroup | LayerUngroup | LayerDuplicate | LayerMerge
Op = (
    Paint
    | Transform
    | LayerOp
    | CanvasSet
    | Edit
    | Cancel
    | Decide
    | Undo
    | Redo
    | UndoPerson
    | CommentAdd
    | CommentDelete
    | ThreadResolve
    | Restore
    | VersionSet
)
ClientMessage = Hello | Op | Cursor | Chat | Look | Stroke | Moving | Mask | Prepare | Diverged | Ping
