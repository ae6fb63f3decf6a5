"""What goes into a commit and what comes out: the tagged facts of one op (C3, C5, C6, C9)."""

from typing import Literal

import msgspec

from nanobana.protocol.canvas import CanvasInfo, ChangeKind, Job, Layer, OpId, Thread, Version
from nanobana.protocol.errors import BadInput, Conflict, NotFound
from nanobana.protocol.jobs import JobSpec
from nanobana.protocol.stack import is_locked
from nanobana.raster.codec import blob_name
from nanobana.raster.pixels import TileKey


class Author(msgspec.Struct, frozen=True, kw_only=True):
    """Who does something, as the session knows them; written into jobs by the server (R7)."""

    user: str
    name: str = ""
    color: str = ""
    is_owner: bool = False
    """Owners may decide and cancel the jobs of others."""


class TileWrite(msgspec.Struct, frozen=True, kw_only=True):
    """A tile gets a new name, on condition that it still has the one that was read (C5). "" is no tile."""

    key: TileKey
    before: str
    after: str
    coverage: str = ""
    """Blob name of the coverage mask or coverage.WHOLE; needed where the op can be undone."""


class JobWrite(msgspec.Struct, frozen=True, kw_only=True):
    """A job's record changes state; its log entry shows the whole public Job."""

    job: Job
    expect: tuple[str, ...]
    """States in which this may happen; ("",) = there is no such job yet."""
    attempt: int | None = None
    """Only for this attempt (J2)."""
    spec: JobSpec | None = None
    """Set when the job is made."""
    soft: bool = False
    """In another state: leave this one out instead of refusing the op."""


class LayersUndo(msgspec.Struct, frozen=True, kw_only=True):
    """What a layer op did, in a form that can be taken back while others go on."""

    what: Literal["add", "set", "move", "delete"]
    before: Layer | None = None
    after: Layer | None = None
    index_before: int = 0
    index_after: int = 0
    alone: bool = False
    """A move of a group without what is in it, as one step of many."""
    idle: bool = False
    """The last turn, undo or redo, changed nothing, e.g. because the layer was gone: the next one back does nothing."""


class Record(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The undo record of one op, kept outside the log; text and numbers only, because the scripts read it too."""

    user: str
    kind: ChangeKind
    tiles: list[str] = []
    """Fields of the tiles that it wrote; what they were is in the canvas's history (C9)."""
    layers: list[LayersUndo] = []
    canvas_before: CanvasInfo | None = None
    canvas_after: CanvasInfo | None = None
    job: str = ""
    """Set on the op that queued an edit: undoing it cancels or discards the job."""


class UndoWrite(msgspec.Struct, frozen=True, kw_only=True):
    """Makes an op undoable by its author; ops of one group are undone as one (C3)."""

    record: Record
    group: str = ""
    instead: bool = False
    """Take the place of the group's earlier ops in the author's undo stack, instead of being undone with them."""


class Flip(msgspec.Struct, frozen=True, kw_only=True):
    """Takes the top entry off an author's undo or redo stack, on condition that it is still these ops."""

    user: str
    source: Literal["undo", "redo"]
    seqs: list[int]
    keep: bool = True
    """Lay it on the other stack; False: it is gone for good (an edit that was cancelled by undo)."""
    as_of: int = 0
    """Seq at which this was worked out: other flips since, and writes to these tiles, would make it another (C9)."""
    notes: dict[int, Record] = {}
    """By seq, the records of ops whose changes of layers can be turned back exactly only with what was found now."""


class ThreadWrite(msgspec.Struct, frozen=True, kw_only=True):
    """A thread of comments becomes another, on condition that it still is what was read."""

    before: bytes
    """Its bytes in the store, b"" for a new one."""
    after: Thread
    """Without comments it goes."""


class Commit(msgspec.Struct, frozen=True, kw_only=True):
    """One op, whole or not at all."""

    op: OpId
    user: str
    kind: ChangeKind
    tiles: list[TileWrite] = []
    held: list[TileWrite] = []
    """Tiles that this op was made over and leaves as they are: they must still be so (C5)."""
    layers: list[Layer] | None = None
    """The whole new list."""
    layers_version: int | None = None
    """Version of layers, title and size that this was made from; None where it does not matter."""
    need_layers: tuple[str, ...] = ()
    """Layers that must still exist."""
    open_layers: tuple[str, ...] = ()
    """Those of them that nobody may have locked meanwhile, nor a group around them."""
    drop_layers: tuple[str, ...] = ()
    """Layers that go with all their tiles; `tiles` must clear every one. They are not listed in the log entry."""
    whole_layers: tuple[str, ...] = ()
    """Layers of which `tiles` and `held` name every tile: one that somebody adds meanwhile is a change too (C5)."""
    canvas: CanvasInfo | None = None
    job: JobWrite | None = None
    also: tuple[JobWrite, ...] = ()
    """Jobs that change state with this op, as log entries of their own before it (superseded edits)."""
    thread: ThreadWrite | None = None
    undo: UndoWrite | None = None
    flip: Flip | None = None
    undoes: int | None = None
    restores: int | None = None
    version: Version | None = None
    about: str | None = None
    """The user whose work an owner takes back."""
    over_budget: bool = False
    """Go on though the budget is used up: undo and redo (C12)."""
    forget: str | None = None
    """A client whose answers are needed no longer (the parts of a large patch)."""


class Committed(msgspec.Struct, frozen=True, kw_only=True):
    """The op is in the log."""

    seq: int
    first_time: bool = True
    """False: it was committed before, and this is the first answer again (C6)."""
    changes: list[bytes] = []
    """The log entries (msgpack Change) in order, the op's own last; empty when not first_time."""


class Moved(Conflict):
    """What the op was made from has changed meanwhile: read again, composite again, commit again (C5).

    Attributes:
        what: which comparison failed.
        tiles: for "tiles": the names that those tiles have now.
    """

    code = "moved"

    def __init__(
        self, what: Literal["tiles", "layers", "stack", "thread"], tiles: dict[TileKey, str] | None = None
    ) -> None:
        super().__init__(f"The canvas's {what} changed meanwhile; nothing was written.", retry_ms=0)
        self.what = what
        self.tiles = tiles or {}


class Refused(Conflict):
    """The op was refused before, with this code (C6)."""

    def __init__(self, code: str) -> None:
        super().__init__("This change was refused before. Make it anew if you still want it.", code=code)


class WrongState(Conflict):
    """The job is not in a state that allows this; the first decision won (J5).

    Attributes:
        state: the state that it is in, "" for no such job.
    """

    code = "already_decided"

    def __init__(self, state: str) -> None:
        super().__init__(f"This edit was decided already: it is {state or 'unknown'}.")
        self.state = state


class LayerGone(NotFound):
    """The layer does not exist any more.

    Attributes:
        layer: its ID.
    """

    code = "layer_gone"

    def __init__(self, layer: str) -> None:
        super().__init__("This layer was deleted meanwhile. Choose another one, or take a new layer.")
        self.layer = layer


class LayerLocked(Conflict):
    """Somebody locked the layer, or a group around it.

    Attributes:
        layer: its ID.
    """

    code = "layer_locked"

    def __init__(self, layer: str) -> None:
        super().__init__("This layer is locked. Unlock it in the list of layers, or choose another one.")
        self.layer = layer


class Gone(Conflict):
    """A reader's position is void; it must start again from the manifest (C4, C8).

    Attributes:
        reason: ``epoch`` (the log was re-created), ``ahead`` or ``replaced`` (the store lost its tail: raise the
            epoch), ``trimmed`` (the log does not reach back that far).
        epoch: the log's epoch now.
    """

    code = "resync"

    def __init__(self, reason: Literal["epoch", "ahead", "replaced", "trimmed"], epoch: int) -> None:
        super().__init__(f"The canvas must be read anew ({reason}).", retry_ms=0)
        self.reason = reason
        self.epoch = epoch


class View(msgspec.Struct, frozen=True, kw_only=True):
    """What a writer reads before it composites."""

    seq: int
    canvas: CanvasInfo
    layers: list[Layer]
    layers_version: int
    names: dict[TileKey, str]
    """Names of the tiles that were asked for, "" for none."""

    def layer(self, layer: str) -> Layer:
        """The layer of that ID.

        Raises:
            LayerGone: there is none.
        """
        for found in self.layers:
            if found.id == layer:
                return found
        raise LayerGone(layer)

    def paintable(self, layer: str) -> Layer:
        """The layer of that ID, if somebody may put pixels on it.

        Raises:
            LayerGone: there is none.
            BadInput: ``is_group``.
            LayerLocked: it is locked, or a group around it.
        """
        found = self.layer(layer)
        if found.group:
            raise BadInput("This is a group. Choose a layer in it.", code="is_group")
        if is_locked(self.layers, found):
            raise LayerLocked(layer)
        return found


class Used(msgspec.Struct, frozen=True, kw_only=True):
    """Bytes in use, and the budget that they count against."""

    used: int
    budget: int | None
    """None: unlimited."""


class Storage(msgspec.Struct, frozen=True, kw_only=True):
    """How full things are (C12)."""

    canvas: Used
    """Pixels and history of the canvas."""
    store: Used
    """The store that keeps it, everything else in it included; on a cluster the node of this canvas."""


class Bell(msgspec.Struct, frozen=True):
    """The log has grown to at least this seq; read it (R9)."""

    seq: int


class Volatile(msgspec.Struct, frozen=True):
    """An encoded message of the latest-only or volatile class, from the server or engine `sender` (R3)."""

    sender: str
    message: bytes


class Reconnected(msgspec.Struct, frozen=True):
    """The subscription is (again) in place; messages may have been missed: check the position, read the tail (C4)."""


Heard = Bell | Volatile | Reconnected


def job_client(job: str) -> str:
    """Client of the op IDs that servers make for a job: idempotent over servers, 64 characters at most."""
    client = f"srv-{job}"
    return client if len(client) <= 64 else f"srv-{blob_name(job.encode())}"
