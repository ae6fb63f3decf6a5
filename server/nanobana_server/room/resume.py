"""How a reader begins: at its old position where the log still has it, else from a manifest (R5, C4)."""

from dataclasses import dataclass, field

import anyio
import msgspec

from nanobana.protocol.canvas import CanvasInfo, Change, Manifest, Position
from nanobana.protocol.errors import Unavailable
from nanobana_server.room.cursor import Cursor
from nanobana_server.room.ring import changed, conflate
from nanobana_server.room.room import Room
from nanobana_server.store import Store
from nanobana_server.store.types import Gone

_change = msgspec.msgpack.Decoder(Change)

_STEP_S = 0.05
_TRIES = 100


@dataclass(frozen=True, slots=True)
class Start:
    """What a welcome says, and where the reader stands after it."""

    position: Position
    canvas: CanvasInfo
    cursor: Cursor
    manifest: Manifest | None = None
    tail: list[bytes] = field(default_factory=list)
    """Encoded changes that follow the welcome, where the room's ring does not reach back so far."""


async def snapshot(room: Room, store: Store) -> Manifest:
    """The canvas now, of the epoch that the room's ring is of.

    Raises:
        NotFound: the canvas was deleted.
        Unavailable: the store is away, or the room did not follow it into a new epoch in time.
    """
    for _ in range(_TRIES):
        manifest = await store.manifest(room.canvas)
        if manifest.position.epoch == room.position.epoch:
            return manifest
        await anyio.sleep(_STEP_S)  # the room's follower is about to find out
    raise Unavailable("the canvas is being restored, try again", code="restoring", retry_ms=1000)


async def begin(room: Room, store: Store, position: Position | None) -> Start:
    """Where a reader that has just subscribed begins; raises like `snapshot`.

    Args:
        position: where it stood before, None for a newcomer.
    """
    if position is not None and position.epoch == room.position.epoch:
        try:
            resumed = await _resume(room, store, position)
        except Gone:
            resumed = None
        if resumed is not None:
            return resumed
    manifest = await snapshot(room, store)
    cursor = room.frames.newcomer(manifest.position.seq)
    return Start(manifest.position, manifest.canvas, cursor, manifest)


async def _resume(room: Room, store: Store, position: Position) -> Start | None:
    """From the log; None where the tail is longer than a manifest is worth. Raises Gone."""
    entries = await store.log_after(room.canvas, position, room.pace.resume_entries)
    if len(entries) == room.pace.resume_entries:
        return None
    canvas = await store.info(room.canvas)
    if not entries:
        return Start(position, canvas, room.frames.newcomer(position.seq))
    seq, last = entries[-1]
    head = Position(position.epoch, seq, _change.decode(last).op)
    if room.frames.covers(position.seq):
        return Start(head, canvas, room.frames.newcomer(position.seq))
    tail = conflate([changed(entry) for _, entry in entries])
    return Start(head, canvas, room.frames.newcomer(seq), tail=tail)
