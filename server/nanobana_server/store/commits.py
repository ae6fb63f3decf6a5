"""Commit: one op by one atomic script, and what its refusals mean (C3, C5, C6)."""

from collections.abc import Mapping
from typing import Any

from nanobana.keyspace.blobs import full, put_blobs_and
from nanobana.keyspace.client import Call
from nanobana.keyspace.snapshot import tile_ref
from nanobana.protocol.errors import Conflict, NotFound
from nanobana.protocol.replica import names_of
from nanobana_server.store.blobs import MissingBlobs
from nanobana_server.store.request import commit_request
from nanobana_server.store.stirred import Stirred
from nanobana_server.store.types import (
    Commit,
    Committed,
    LayerGone,
    LayerLocked,
    Moved,
    Refused,
    WrongState,
)


class Commits(Stirred):
    """The part of the store that changes canvases."""

    async def commit(self, canvas: str, commit: Commit, *, blobs: Mapping[str, bytes] | None = None) -> Committed:
        """Write an op, whole or not at all; blobs that it names must have been put before.

        Args:
            blobs: by their names; they are put right before, in the same round trip where they are small.

        Returns:
            The seq; for an op ID that was committed before, its first answer (C6).

        Raises:
            Moved: tiles, layers or the undo stack changed since they were read: re-read, re-composite, try again.
            Refused: it was refused before, and stays refused (C6).
            Conflict: ``duplicate`` for an op ID too old to know; ``stale_attempt`` (J2).
            WrongState: ``already_decided`` (J5).
            LayerGone, LayerLocked, NotFound: ``layer_gone``, ``layer_locked``, ``missing_blob``, ``no_canvas``.
            StorageFull: the budget is used up.
        """
        await self.stir(canvas)
        keys, args = commit_request(canvas, commit)
        call: Call = ("commit", keys, args)
        reply = await (put_blobs_and(self.client, canvas, blobs, call) if blobs else self.client.run(*call))
        outcome = reply[0].decode()
        if outcome == "ok":
            return Committed(seq=int(reply[1]), changes=reply[2:])
        if outcome == "duplicate":
            return Committed(seq=int(reply[1]), first_time=False)
        raise _refusal(canvas, outcome, reply[1:])


def _refusal(canvas: str, outcome: str, facts: list[Any]) -> Exception:
    match outcome:
        case "conflict":
            refs = [tile_ref(facts[i], facts[i + 1]) for i in range(0, len(facts), 2)]
            return Moved("tiles", names_of(refs))
        case "layers" | "stack" | "thread" as what:
            return Moved(what)
        case "state":
            return WrongState(facts[0].decode())
        case "layer_gone":
            return LayerGone(facts[0].decode())
        case "layer_locked":
            return LayerLocked(facts[0].decode())
        case "missing":
            return MissingBlobs([name.decode() for name in facts])
        case "full":
            return full(int(facts[0]), int(facts[1]))
        case "refused":
            return Refused(facts[0].decode())
        case "too_old":
            return Conflict("This op is older than the answers that are kept; it was dealt with.", code="duplicate")
        case "attempt":
            return Conflict("Another attempt has taken over this job.", code="stale_attempt")
        case "no_canvas":
            return NotFound(f"There is no canvas {canvas}.", code="no_canvas")
    return AssertionError(f"commit.lua answered {outcome}")
