"""What passes between servers and engines: the ticket on a job stream, the job's record, the result (J1–J5)."""

from typing import TypeAlias

import msgspec

from nanobana.protocol.canvas import Cost, Timing, Variation
from nanobana.protocol.geometry import Box
from nanobana.protocol.parameters import EditParams, ModelFacts


class JobTicket(msgspec.Struct, frozen=True, kw_only=True):
    """An entry of a family's stream: IDs only, never pixels (J1). Stored as msgpack in the field ``m``."""

    canvas: str
    job: str
    user: str
    lane: str = "live"
    front: bool = False
    """Ahead of its author's other tickets."""
    model: str = ""
    """Only engines that serve it take the ticket; empty: any engine."""


class Hint(msgspec.Struct, frozen=True, kw_only=True, tag="mask"):
    """What may become a job soon, on the family's channel for hints; kept nowhere, and lost without harm."""

    canvas: str
    user: str
    box: Box
    mask_png: bytes
    model: str = ""
    """Of the edit that may come; empty: each engine's own default."""


class Opened(msgspec.Struct, frozen=True, kw_only=True, tag="opened"):
    """Somebody opened a canvas, on the same channel: its next edit will probably be of this model."""

    canvas: str
    model: str = ""
    """Of its newest edit, or the one that edits take which name none; empty: each engine's own default."""


Foretold: TypeAlias = Hint | Opened
"""What engines are told on that channel."""


class JobSpec(msgspec.Struct, frozen=True, kw_only=True):
    """The immutable part of a job's record, field ``spec``: everything that the engine needs to know."""

    canvas: str
    job: str
    user: str
    edit: EditParams
    """`mask_png` is moved into a blob and `seed` is drawn before a spec is written."""
    layer: str | None
    """Layer that the author had selected; the engine reads the visible composite, the server decides where it lands."""
    created_ms: int


class JobResult(msgspec.Struct, frozen=True, kw_only=True):
    """An entry of the results stream, field ``m``; the patch blobs are in the canvas's slot already (design §3.6)."""

    canvas: str
    job: str
    attempt: int
    """The fence: a result whose attempt is not the record's is refused (J2)."""
    worker: str
    box: Box | None = None
    variations: list[Variation] = []
    timing: Timing | None = None
    cost: Cost | None = None
    model: str = ""
    """That made it; empty where none did."""
    understood: str = ""
    notice: str = ""
    """As in the job."""
    error_code: str = ""
    error: str = ""


HEARTBEAT_GO = "go"
HEARTBEAT_CANCELLED = "cancelled"
HEARTBEAT_SUPERSEDED = "superseded"
HEARTBEAT_STALE = "stale"


class EngineBeat(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker says of itself every second (J4), msgpack in ``engines`` of its family."""

    worker: str
    model: str
    device: str
    running: int
    pid: int
    host: str
    draining: bool = False
    loading: str = ""
    """What it waits for before it takes work, e.g. a download, in words; empty once it is ready."""
    models: list[ModelFacts] = []
    """All that it serves, the one of edits that name none first; empty while it takes no work yet."""
    each_s: float = 0.0
    """Seconds between two edits that it ended while more waited; 0: never seen."""
