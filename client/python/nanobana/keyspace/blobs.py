"""Immutable bytes in a canvas's slot: put in chunks, got in chunks, by server and engine alike (C3)."""

from collections.abc import Iterator, Sequence

import anyio

from nanobana.keyspace.client import Client, Word
from nanobana.keyspace.keys import CanvasKeys
from nanobana.protocol.errors import NanobanaError, NotFound, StorageFull
from nanobana.raster.codec import blob_name

CHUNK = 1 << 20
"""Bytes per write (C3): small enough that nobody else waits long for the single-threaded store."""

READ_NAMES = 32
"""Names per read: about 4 MiB of grainy tiles."""

AT_ONCE = 4
"""Chunks under way at once."""


async def put_blobs(
    client: Client,
    canvas: str,
    blobs: Sequence[bytes],
    *,
    names: Sequence[str] | None = None,
    over_budget: bool = False,
) -> list[str]:
    """Store bytes by their content names; idempotent, and renews the age of what is there already (C8).

    Args:
        names: their `blob_name`s, where the caller has them already.
        over_budget: go on though the canvas's budget is used up; for undo only (C12).

    Raises:
        StorageFull: the budget does not hold them; whole chunks before may have been written, which harms nobody.
        NotFound: ``no_canvas``.
    """
    names = [blob_name(data) for data in blobs] if names is None else list(names)
    limiter = anyio.Semaphore(AT_ONCE)
    keys = CanvasKeys(canvas)

    async def write(words: list[Word]) -> None:
        async with limiter:
            reply = await client.run("put_blobs", [keys.meta, keys.blobs, keys.blob_ages], words)
        if reply[0] == b"no_canvas":
            raise NotFound(f"There is no canvas {canvas}.", code="no_canvas")
        if reply[0] == b"full":
            raise full(int(reply[1]), int(reply[2]))

    pieces = list(_chunked(names, blobs, b"1" if over_budget else b"0"))
    if len(pieces) == 1:
        await write(pieces[0])
        return names
    failed: list[NanobanaError] = []

    async def guarded(words: list[Word]) -> None:
        try:
            await write(words)
        except NanobanaError as error:
            failed.append(error)

    async with anyio.create_task_group() as group:
        for words in pieces:
            group.start_soon(guarded, words)
    if failed:
        raise failed[0]
    return names


async def get_blobs(client: Client, canvas: str, names: Sequence[str]) -> list[bytes | None]:
    """Bytes by name, in order; None for what is not there."""
    key = CanvasKeys(canvas).blobs
    found: list[bytes | None] = []
    for start in range(0, len(names), READ_NAMES):
        found += await client.call("HMGET", key, *names[start : start + READ_NAMES])
    return found


def full(used: int, budget: int) -> StorageFull:
    """The refusal of a canvas whose budget is used up."""
    return StorageFull(
        f"This canvas has used {used >> 20} of its {budget >> 20} MiB. Everything saved is safe; "
        "looking, undo and export go on."
    )


def _chunked(names: Sequence[str], blobs: Sequence[bytes], flag: bytes) -> Iterator[list[Word]]:
    words: list[Word] = [flag]
    size = 0
    for name, data in zip(names, blobs, strict=True):
        if size and size + len(data) > CHUNK:
            yield words
            words, size = [flag], 0
        words += [name, data]
        size += len(data)
    if size:
        yield words
