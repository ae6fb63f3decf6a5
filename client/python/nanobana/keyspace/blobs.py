"""Immutable bytes in a canvas's slot: put in chunks, got in chunks, by server and engine alike (C3)."""

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import anyio

from nanobana.keyspace.client import Call, Client, Word
from nanobana.keyspace.keys import CanvasKeys
from nanobana.protocol.errors import NanobanaError, NotFound, StorageFull
from nanobana.raster.codec import blob_name

CHUNK = 1 << 20
"""Bytes per write (C3): small enough that nobody else waits long for the single-threaded store."""

READ_NAMES = 32
"""Names per read: about 4 MiB of grainy tiles."""

AT_ONCE = 4
"""Chunks under way at once."""

PIECES_S = 600
"""Pieces of a blob that nobody went on writing are forgotten after so long."""


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
    flag = _flag(over_budget=over_budget)
    keys = CanvasKeys(canvas)
    small = [pair for pair in zip(names, blobs, strict=True) if len(pair[1]) <= CHUNK]
    large = [pair for pair in zip(names, blobs, strict=True) if len(pair[1]) > CHUNK]
    writes = [partial(_put_together, client, keys, words) for words in _chunked(small, flag)]
    writes += [partial(_put_in_pieces, client, keys, flag, name, data) for name, data in large]
    await _all(writes)
    return names


async def put_blobs_and(client: Client, canvas: str, blobs: Mapping[str, bytes], call: Call) -> Any:
    """`put_blobs`, and a script of the same slot right behind it, in the same round trip where the blobs are one write.

    Args:
        blobs: by their `blob_name`s.

    Returns:
        What the script replied.

    Raises:
        StorageFull, NotFound: as `put_blobs`; the script may have run all the same.
    """
    if not blobs or sum(map(len, blobs.values())) > CHUNK:
        await put_blobs(client, canvas, list(blobs.values()), names=list(blobs))
        return await client.run(*call)
    keys = CanvasKeys(canvas)
    (words,) = _chunked(list(blobs.items()), _flag(over_budget=False))
    put, reply = await client.scripts([_put_call(keys, words), call])
    _checked(keys, put)
    return reply


async def put_result_blobs(
    client: Client, canvas: str, blobs: Sequence[bytes], record: str, attempt: int, lease_ms: int
) -> tuple[list[str], bytes]:
    """`put_blobs` of an engine's result, at most CHUNK bytes, which extends the lease of its attempt in the same write.

    Args:
        record: key of the job's record.

    Returns:
        Names, and how to go on, as the heartbeat's script says it.
    """
    names, keys = [blob_name(data) for data in blobs], CanvasKeys(canvas)
    words: list[Word] = [_flag(over_budget=False)]
    for name, data in zip(names, blobs, strict=True):
        words += [name, data]
    put = [keys.meta, keys.blobs, keys.blob_ages, record]
    reply = await client.run("put_blobs", put, [*words, attempt, lease_ms])
    _checked(keys, reply)
    return names, reply[1]


def _flag(*, over_budget: bool) -> bytes:
    return b"1" if over_budget else b"0"


def _put_call(keys: CanvasKeys, words: list[Word]) -> Call:
    return "put_blobs", [keys.meta, keys.blobs, keys.blob_ages], words


async def _put_together(client: Client, keys: CanvasKeys, words: list[Word]) -> None:
    """Several small blobs in one write."""
    _checked(keys, await client.run(*_put_call(keys, words)))


async def _put_in_pieces(client: Client, keys: CanvasKeys, flag: bytes, name: str, data: bytes) -> None:
    """A blob above the chunk: its pieces into a key of their own, by offset and so idempotent, then visible at once."""
    pieces = keys.pieces(name)
    while True:
        for start in range(0, len(data), CHUNK):
            await client.pipeline(
                [("SETRANGE", pieces, start, data[start : start + CHUNK]), ("EXPIRE", pieces, PIECES_S)]
            )
        adopting = [keys.meta, keys.blobs, keys.blob_ages, pieces]
        if not _checked(keys, await client.run("adopt_blob", adopting, [flag, name, len(data)])):
            return


def _checked(keys: CanvasKeys, reply: Any) -> bool:
    """Whether pieces are missing; raises what the store refused."""
    match reply[0]:
        case b"no_canvas":
            raise NotFound(f"There is no canvas {keys.canvas}.", code="no_canvas")
        case b"full":
            raise full(int(reply[1]), int(reply[2]))
    return bool(reply[0] == b"partial")


async def _all(writes: Sequence[Callable[[], Awaitable[None]]]) -> None:
    """Some at a time; the first refusal is raised once all have ended."""
    if len(writes) == 1:
        await writes[0]()
        return
    limiter = anyio.Semaphore(AT_ONCE)
    failed: list[NanobanaError] = []

    async def guarded(write: Callable[[], Awaitable[None]]) -> None:
        async with limiter:
            try:
                await write()
            except NanobanaError as error:
                failed.append(error)

    async with anyio.create_task_group() as group:
        for write in writes:
            group.start_soon(guarded, write)
    if failed:
        raise failed[0]


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


def _chunked(blobs: Sequence[tuple[str, bytes]], flag: bytes) -> Iterator[list[Word]]:
    words: list[Word] = [flag]
    size = 0
    for name, data in blobs:
        if size and size + len(data) > CHUNK:
            yield words
            words, size = [flag], 0
        words += [name, data]
        size += len(data)
    if size:
        yield words
