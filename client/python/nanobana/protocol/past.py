"""What happened on a canvas, as whoever looks back is told it: moments, newest first (C13)."""

import msgspec

from nanobana.protocol.canvas import ChangeKind, Job, Person, Version
from nanobana.protocol.geometry import Box


class Moment(msgspec.Struct, frozen=True, kw_only=True):
    """A change that can be seen; the canvas as it was right after it can be looked at and restored by its `seq`."""

    seq: int
    time_ms: int
    user: str
    kind: ChangeKind
    box: Box | None = None
    """What it covered, in canvas pixels along the tile grid."""
    what: str = ""
    """What it did to the layers, in words."""
    job: Job | None = None
    """Of an accepted result."""
    undoes: int | None = None
    restores: int | None = None
    """The seq that it brought back."""


class Moments(msgspec.Struct, frozen=True, kw_only=True):
    """A page of the past."""

    moments: list[Moment]
    people: list[Person]
    """Those of the authors who are known here."""
    before: int | None
    """Ask on with this; null at the beginning of all things."""
    versions: list[Version]
    """All named versions, newest first; on the first page only."""
