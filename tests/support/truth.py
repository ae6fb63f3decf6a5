"""What must be true of a canvas and everybody on it once nobody is doing anything (C3, C4, C11)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from nanobana.protocol.canvas import TERMINAL, Change, Manifest, OpId
from nanobana.protocol.replica import Replica
from nanobana.raster.codec import blob_name
from nanobana_server.store import Store

BATCH = 500


async def whole_log(store: Store, canvas: str) -> list[Change]:
    """Every change of a canvas, oldest first: the archive's chapters and the log that follows on them (C8)."""
    return [change async for change in store.history(canvas)]


def replayed(start: Manifest, log: Iterable[Change]) -> Replica:
    """The canvas made again from its first manifest and its log alone."""
    replica = Replica()
    replica.load(start)
    for change in log:
        assert replica.apply(change), f"seq {change.seq} came twice"
    return replica


def check_log(log: list[Change]) -> None:
    """The log has no gap and no op twice, and a job ends once (J5)."""
    assert [change.seq for change in log] == list(range(log[0].seq, log[0].seq + len(log))), "a gap in the log"
    twice = [op for op, count in Counter(change.op for change in log).items() if count > 1]
    assert not twice, f"committed twice: {twice}"
    over: set[str] = set()
    for change in log:
        if change.job is not None:
            assert change.job.id not in over, f"job {change.job.id} changed after its end"
            if change.job.state in TERMINAL:
                over.add(change.job.id)


def check_answers(log: list[Change], acked: dict[OpId, int], refused: Iterable[OpId]) -> None:
    """What was acknowledged stands in the log at the seq that was told, what was refused does not (R2, C6)."""
    at = {change.op: change.seq for change in log}
    lost = {op: seq for op, seq in acked.items() if at.get(op) != seq}
    assert not lost, f"acknowledged and not in the log at that seq: {lost}"
    both = [op for op in refused if op in at]
    assert not both, f"refused and yet committed: {both}"


async def check_blobs(store: Store, canvas: str, manifest: Manifest) -> None:
    """Every tile's bytes are there and are what their name says (C2)."""
    names = sorted({tile.name for tile in manifest.tiles})
    for at in range(0, len(names), BATCH):
        for name, data in zip(
            names[at : at + BATCH], await store.get_blobs(canvas, names[at : at + BATCH]), strict=True
        ):
            assert data is not None, f"blob {name} is missing"
            assert blob_name(data) == name, f"blob {name} holds other bytes"


def same(manifest: Manifest) -> Replica:
    """A replica that holds exactly a manifest."""
    replica = Replica()
    replica.load(manifest)
    return replica
