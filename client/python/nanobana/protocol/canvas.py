"""The durable state of a canvas as everybody sees it: layers, tiles, jobs and the log's changes (C1–C6)."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from nanobana.protocol.geometry import MAX_SIDE, Box
from nanobana.protocol.parameters import Lora, Onto

Role = Literal["owner", "editor", "commenter", "viewer"]
Identifier = Annotated[str, Meta(pattern="^[A-Za-z0-9_-]{1,64}$")]
Side = Annotated[int, Meta(ge=1, le=MAX_SIDE)]
Title = Annotated[str, Meta(max_length=200)]
MAX_COMMENTS = 100
"""In one thread."""
CommentText = Annotated[str, Meta(min_length=1, max_length=1000)]
Opacity = Annotated[float, Meta(ge=0.0, le=1.0)]
Blend = Literal["normal", "multiply", "screen", "overlay"]
"""How a layer's colours meet those beneath it: the separable modes of W3C Compositing and Blending, Level 1."""
Number = Annotated[int, Meta(ge=1, le=2**53 - 1)]
"""The `n` of an op ID; a whole number that JavaScript holds exactly."""


class OpId(msgspec.Struct, frozen=True, array_like=True):
    """Made by the client: `client` is one tab, `n` rises by at least one with each op (C6). Wire: ``[client, n]``."""

    client: Identifier
    n: Number


class Position(msgspec.Struct, frozen=True, array_like=True):
    """Where a reader stands in the log: epoch, seq, and the op ID at seq (C4).

    Wire: ``[epoch, seq, [client, n] | null]``.
    """

    epoch: int
    seq: int
    op: OpId | None = None


class Layer(msgspec.Struct, frozen=True, kw_only=True):
    """One layer, or a group of them; the list runs from bottom to top, a group right above all that is in it."""

    id: Identifier
    name: Title
    visible: bool = True
    opacity: Opacity = 1.0
    blend: Blend = "normal"
    locked: bool = False
    """Nobody changes it, or what is in it, until somebody unlocks it; showing, hiding and undo go on."""
    group: bool = False
    """It holds layers, no pixels: they are composited by themselves, and the outcome like one layer (isolated)."""
    parent: str = ""
    """The group that it is in; at the top level where that is empty or there is no such group (any more)."""


class TileRef(msgspec.Struct, frozen=True, array_like=True):
    """A tile's place and content name. Wire: ``[layer, tx, ty, name]``; an empty name means transparent again."""

    layer: str
    tx: int
    ty: int
    name: str


class CanvasInfo(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    title: Title = ""
    width: int = 0
    """0 x 0 until the first picture or a blank canvas gives it a size."""
    height: int = 0
    used_bytes: int = 0
    budget_bytes: int = 0


JobState = Literal["queued", "running", "staged", "accepted", "discarded", "cancelled", "superseded", "failed"]
TERMINAL: frozenset[str] = frozenset({"accepted", "discarded", "cancelled", "superseded", "failed"})


class ResultPart(msgspec.Struct, frozen=True, array_like=True):
    """A part of a large result: an RGBA patch of a box. Wire: ``[box, blob]``."""

    box: Box
    blob: str


class Variation(msgspec.Struct, frozen=True, kw_only=True):
    """One staged result: an RGBA patch (colour + composite mask C as alpha, lossless WebP) of the result box."""

    blob: str
    """The patch; where it comes in parts, a small picture of all of them."""
    seed: int
    parts: list[ResultPart] = []
    """Of a large result, along the grid, those in which something changes; empty for one patch of the whole box."""

    @property
    def blobs(self) -> list[str]:
        """Every blob that it names."""
        return [self.blob, *(part.blob for part in self.parts)]


class Timing(msgspec.Struct, frozen=True, kw_only=True):
    """Where the time of an edit went, in milliseconds of wall time."""

    wait_ms: float = 0.0
    read_ms: float = 0.0
    model_ms: float = 0.0
    """Inside the adapter's encode, denoise and decode calls."""
    condition_ms: float = 0.0
    """Inside its condition calls: what is asked for and what is around the hole, as the model wants it."""
    patch_ms: float = 0.0
    """From the model's picture to the bytes of the patch: stitch, colour, encoding."""
    total_ms: float = 0.0
    """From the claim until the result is stored."""


class Cost(msgspec.Struct, frozen=True, kw_only=True):
    """What an edit recomputed of its canvas, as the engine counted it (E9)."""

    cells: int
    """That the model computed, over all steps and variations: its tokens, each a small square of the picture."""
    cells_of: int
    """What it would have been over the whole canvas, at the same size and steps."""
    tiles: int
    """Of the canvas, in which a pixel may change."""
    tiles_of: int
    encoded: float | None = None
    """Work of the model's encoder, in passes over the whole canvas; None where that is not counted."""
    decoded: float | None = None
    """The same of its decoder."""
    saved_ms: float | None = None
    """About how much longer the steps and the decoding would have taken over the whole canvas, by the passes that this
    engine has timed; None where it timed none that tells."""

    @property
    def share(self) -> float:
        """Of the picture, that was recomputed: 0 to 1, above it where more was computed than the picture has."""
        return self.cells / self.cells_of if self.cells_of else 0.0


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """An edit in everybody's eyes; replaced as a whole by every change of its state."""

    id: str
    """``{client}-{n}`` of the op that queued it."""
    state: JobState
    user: str
    """Member's user ID (stable over tabs and reconnects), written by the server (R7)."""
    user_name: str = ""
    color: str = ""
    mode: str = "fill"
    model: str = ""
    """That it runs on, or ran; empty while nobody can say, and for erasing."""
    prompt: str = ""
    negative: str = ""
    seed: int = 0
    strength: float = 1.0
    quality: str = "balanced"
    detail: bool = False
    steps: int | None = None
    guidance: float | None = None
    style: str | None = None
    loras: list[Lora] = []
    feather: float | None = None
    grow: float | None = None
    exact_edge: bool = False
    variations: int = 1
    box: Box
    """The mask's box."""
    mask: str = ""
    """Blob name of the mask (gray PNG of the box's size)."""
    layer: str | None = None
    onto: Onto = "auto"
    live: str = ""
    """Its live session; every newer edit of the session takes its place. Empty for an edit of its own."""
    result_box: Box | None = None
    results: list[Variation] = []
    timing: Timing | None = None
    cost: Cost | None = None
    """None until there is a result."""
    understood: str = ""
    """The prompt as the model got it, where it was translated; empty: as it was written."""
    notice: str = ""
    """A sentence for people about a result that is there all the same."""
    error_code: str = ""
    error: str = ""
    """A sentence for people, when failed."""
    created_ms: int = 0


class Person(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody who came to a canvas once, with the name and the colour of the last time."""

    user: str
    name: str = ""
    color: str = ""


class Comment(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody said in a thread; the server writes who and when (R7)."""

    id: str
    """``{client}-{n}`` of the op that said it."""
    user: str
    name: str
    color: str = ""
    text: CommentText
    time_ms: int


class Thread(msgspec.Struct, frozen=True, kw_only=True):
    """Comments pinned to a point of the canvas, oldest first; without any the thread is gone."""

    id: Identifier
    x: float
    """Canvas pixels."""
    y: float
    comments: Annotated[list[Comment], Meta(max_length=MAX_COMMENTS)] = []
    resolved: bool = False


class Version(msgspec.Struct, frozen=True, kw_only=True):
    """A moment of the canvas that somebody gave a name to."""

    id: Identifier
    name: Title
    """Empty in a Change: the version has no name any more, and is gone from the list."""
    seq: int
    """The canvas as it was right after this change."""
    user: str = ""
    user_name: str = ""
    color: str = ""
    created_ms: int = 0


ChangeKind = Literal[
    "paint", "import", "transform", "layers", "canvas", "edit", "undo", "redo", "restore", "version", "comment"
]


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of the log: what an op changed. Fields that an op did not touch are None or empty."""

    seq: int
    epoch: int
    op: OpId
    user: str
    kind: ChangeKind
    time_ms: int
    tiles: list[TileRef] = []
    layers: list[Layer] | None = None
    """The whole new list, bottom to top."""
    canvas: CanvasInfo | None = None
    job: Job | None = None
    undoes: int | None = None
    """For undo and redo: the seq of the op concerned."""
    thread: Thread | None = None
    """As it is now; without comments it is gone."""
    restores: int | None = None
    """For restore: the seq whose canvas it brought back."""
    version: Version | None = None
    about: str | None = None
    """For undo: the user whose work an owner took back."""


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """Everything needed to show a canvas at a position; the live snapshot (C8)."""

    position: Position
    canvas: CanvasInfo
    layers: list[Layer]
    tiles: list[TileRef]
    jobs: list[Job]
    """Jobs that are not in a terminal state, oldest first."""
