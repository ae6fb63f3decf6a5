"""A commit as the KEYS and ARGV of commit.lua; its header says what they mean."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec

from nanobana.keyspace.client import Word
from nanobana.keyspace.keys import CanvasKeys
from nanobana.keyspace.snapshot import tile_field
from nanobana.protocol.canvas import OpId, TileRef
from nanobana.raster.coverage import WHOLE
from nanobana_server.store.types import Commit, JobWrite, job_client

_pack = msgspec.msgpack.Encoder().encode


def commit_request(canvas: str, commit: Commit) -> tuple[list[str], list[Word]]:
    """KEYS and ARGV of commit.lua for a commit."""
    base = CanvasKeys(canvas)
    call = _Call(base, base.of_commit, [b""])
    entries = []
    for write in commit.also:
        change = {"op": OpId(job_client(write.job.id), 1), "user": write.job.user, "kind": "edit", "job": write.job}
        entries.append(call.entry(change, write))
    entries.append(call.entry(_change(commit), commit.job))
    request: dict[str, Any] = {
        "client": commit.op.client,
        "n": commit.op.n,
        "answer": not commit.op.client.startswith("srv-"),
        "reads": [word for write in (*commit.tiles, *commit.held) for word in (tile_field(*write.key), write.before)],
        "writes": [word for write in commit.tiles for word in (tile_field(*write.key), write.after, write.coverage)],
        "need": commit.need_layers,
        "open": commit.open_layers,
        "blobs": list(dict.fromkeys(_blobs(commit))),
        "free": commit.over_budget,
        "entries": entries,
    }
    call.parts[0] = _pack(request | call.options(commit))
    return call.keys, call.parts


@dataclass(frozen=True, slots=True)
class _Call:
    base: CanvasKeys
    keys: list[str]
    parts: list[Word]

    def part(self, data: bytes) -> int:
        """Adds binary bytes as an ARGV of their own: the scripts' msgpack knows text and numbers only."""
        self.parts.append(data)
        return len(self.parts)

    def entry(self, change: dict[str, Any], write: JobWrite | None) -> dict[str, Any]:
        """A log entry, and the change of a job's record that goes with it.

        The entry's map comes without its header byte (fewer than 13 fields): the script puts seq, epoch and time_ms
        in front.
        """
        entry: dict[str, Any] = {"fields": len(change), "body": self.part(_pack(change)[1:])}
        if write is None:
            return entry
        self.keys.append(self.base.job(write.job.id))
        job: dict[str, Any] = {
            "key": len(self.keys),
            "id": write.job.id,
            "expect": write.expect,
            "state": write.job.state,
            "public": self.part(_pack(write.job)),
            "soft": write.soft,
            "passing": write.job.state == "superseded" and bool(write.job.live),
        }
        if write.attempt is not None:
            job["attempt"] = write.attempt
        if write.spec is not None:
            job["spec"] = self.part(_pack(write.spec))
        return entry | {"job": job}

    def options(self, commit: Commit) -> dict[str, Any]:
        """What only some ops have; absent, not nil, because the script asks whether it is there."""
        found: dict[str, Any] = {}
        if commit.layers is not None:
            found["layers"] = self.part(_pack(commit.layers))
        if commit.layers_version is not None:
            found["layers_version"] = commit.layers_version
        if whole := (*commit.drop_layers, *commit.whole_layers):
            named = Counter(write.key[0] for write in (*commit.tiles, *commit.held) if write.before != "")
            found["whole"] = [[layer, named[layer]] for layer in whole]
        if commit.canvas is not None:
            found |= {"title": commit.canvas.title, "width": commit.canvas.width, "height": commit.canvas.height}
        if commit.thread is not None:
            write = commit.thread
            found["thread"] = {"id": write.after.id, "before": self.part(write.before)}
            if write.after.comments:
                found["thread"]["after"] = self.part(_pack(write.after))
        if commit.undo is not None:
            record = commit.undo.record
            found["undo"] = {
                "user": record.user,
                "record": self.part(_pack(record)),
                "group": commit.undo.group,
                "instead": commit.undo.instead,
            }
        if commit.flip is not None:
            flip = commit.flip
            notes = [[seq, self.part(_pack(record))] for seq, record in flip.notes.items()]
            found["flip"] = {
                "user": flip.user,
                "from": flip.source,
                "seqs": flip.seqs,
                "keep": flip.keep,
                "as_of": flip.as_of,
                "notes": notes,
            }
        if commit.version is not None:
            kept = [self.part(_pack(commit.version))] if commit.version.name else []
            found["version"] = [commit.version.id, *kept]
        if commit.forget is not None:
            found["forget"] = commit.forget
        return found


def _change(commit: Commit) -> dict[str, Any]:
    """The fields of the log entry that are known before the script runs; unset ones are left out."""
    tiles = [TileRef(*write.key, write.after) for write in commit.tiles if write.key[0] not in commit.drop_layers]
    optional = {
        "tiles": tiles or None,
        "layers": commit.layers,
        "canvas": commit.canvas,
        "job": commit.job.job if commit.job is not None else None,
        "undoes": commit.undoes,
        "thread": commit.thread.after if commit.thread is not None else None,
        "restores": commit.restores,
        "about": commit.about,
        "version": commit.version,
    }
    change: dict[str, Any] = {"op": commit.op, "user": commit.user, "kind": commit.kind}
    return change | {name: value for name, value in optional.items() if value is not None}


def _blobs(commit: Commit) -> Iterator[str]:
    """Every blob that the op names: the script refuses it if one is missing (C3)."""
    for write in commit.tiles:
        if write.after:
            yield write.after
        if write.coverage and write.coverage != WHOLE:
            yield write.coverage
    if commit.job is not None and commit.job.job.state == "staged":
        yield from (blob for variation in commit.job.job.results for blob in variation.blobs)
    if commit.job is not None and commit.job.spec is not None:
        yield from (reference.blob for reference in commit.job.spec.edit.references)
        if commit.job.job.mask:
            yield commit.job.job.mask
