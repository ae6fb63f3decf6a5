"""The loop around every op: read, make, commit, and again where the canvas moved on, until it lands (C5, C6)."""

from collections.abc import Awaitable, Callable

import msgspec

from nanobana.keyspace.keys import CanvasKeys
from nanobana.protocol.canvas import OpId
from nanobana.protocol.errors import Conflict, NanobanaError, NotFound, Unavailable
from nanobana_server.store.base import Base
from nanobana_server.store.types import Committed, Moved, Refused

ATTEMPTS = 200
"""Somebody's commit lands in each round, so this many lost races mean hundreds of writers on one tile."""

PARTS = "grp-"
"""Clients of the parts of a large patch, whose refusal is that of the whole (laying.op_parts)."""


async def land(
    store: Base,
    canvas: str,
    op: OpId,
    attempt: Callable[[], Awaitable[Committed]],
    *,
    is_final: Callable[[], bool] = lambda: True,
) -> Committed:
    """Call `attempt` until its commit is not refused by Moved.

    A refusal of an op that was committed before, and whose answer got lost, is answered with the first result: a
    repeated op may find its layer gone or its job decided by itself. Any other refusal without `retry_ms` is kept as
    the op's answer: an attempt of a connection that was lost may still be under way, and must not land after it (C6).

    Args:
        is_final: whether a refusal now is one; not where what was begun will be finished by somebody else.

    Raises:
        Refused: it was refused before.
        Conflict: ``busy`` after too many lost races; and whatever `attempt` raises.
    """
    for _ in range(ATTEMPTS):
        try:
            return await attempt()
        except Moved:
            continue
        except Unavailable:
            raise
        except NanobanaError as error:
            is_kept = error.retry_ms is None and is_final() and not op.client.startswith(PARTS)
            answer = await (refused(store, canvas, op, error.code) if is_kept else answered(store, canvas, op))
            if isinstance(answer, int):
                return Committed(seq=answer, first_time=False)
            if answer in (None, error.code):
                raise
            raise Refused(answer) from error
    raise Conflict("Too many people write here at the same moment; try again.", code="busy", retry_ms=200)


async def refused(store: Base, canvas: str, op: OpId, code: str) -> int | str:
    """Keep a refusal; the seq of an op that was committed already, else the code of its first refusal."""
    keys = CanvasKeys(canvas)
    answer = await store.client.run("refuse", [keys.meta, keys.answers], [op.client, op.n, code])
    return int(answer) if isinstance(answer, int) else str(answer.decode())


async def answered(store: Base, canvas: str, op: OpId) -> int | str | None:
    """The seq of an op that was committed already, the code with which it was refused, or None."""
    packed = await store.client.call("HGET", CanvasKeys(canvas).answers, op.client)
    if packed is None:
        return None
    rows = msgspec.msgpack.decode(packed, type=list[int | str])[1:]
    return next((rows[i + 1] for i in range(0, len(rows), 2) if rows[i] == op.n), None)


def missing_became_moved(error: NotFound) -> NanobanaError:
    """A tile that was swept between reading its name and its bytes: read the names again (C8)."""
    return Moved("tiles") if error.code == "missing_blob" else error
