"""The loop around every op: read, make, commit, and again where the canvas moved on, until it lands (C5, C6)."""

from collections.abc import Awaitable, Callable

import msgspec

from nanobana.keyspace.keys import CanvasKeys
from nanobana.protocol.canvas import OpId
from nanobana.protocol.errors import Conflict, NanobanaError, NotFound, Unavailable
from nanobana_server.store.base import Base
from nanobana_server.store.types import Committed, Moved

ATTEMPTS = 200
"""Somebody's commit lands in each round, so this many lost races mean hundreds of writers on one tile."""


async def land(store: Base, canvas: str, op: OpId, attempt: Callable[[], Awaitable[Committed]]) -> Committed:
    """Call `attempt` until its commit is not refused by Moved.

    A refusal of an op that was committed before, and whose answer got lost, is answered with the first result: a
    repeated op may find its layer gone or its job decided by itself (C6).

    Raises:
        Conflict: ``busy`` after too many lost races; and whatever `attempt` raises.
    """
    for _ in range(ATTEMPTS):
        try:
            return await attempt()
        except Moved:
            continue
        except Unavailable:
            raise
        except NanobanaError:
            seq = await answered(store, canvas, op)
            if seq is None:
                raise
            return Committed(seq=seq, first_time=False)
    raise Conflict("Too many people write here at the same moment; try again.", code="busy", retry_ms=200)


async def answered(store: Base, canvas: str, op: OpId) -> int | None:
    """The seq of an op that was committed already, else None."""
    packed = await store.client.call("HGET", CanvasKeys(canvas).answers, op.client)
    if packed is None:
        return None
    rows = msgspec.msgpack.decode(packed, type=list[int])[1:]
    return next((rows[i + 1] for i in range(0, len(rows), 2) if rows[i] == op.n), None)


def missing_became_moved(error: NotFound) -> NanobanaError:
    """A tile that was swept between reading its name and its bytes: read the names again (C8)."""
    return Moved("tiles") if error.code == "missing_blob" else error
