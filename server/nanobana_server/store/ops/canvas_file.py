"""A whole canvas as one file, with its history or without: a zip of JSON and of blobs under their own names (C8)."""

import zipfile
from collections.abc import Iterable
from typing import Annotated, BinaryIO, Literal

import msgspec
from msgspec import Meta

from nanobana.protocol.canvas import CanvasInfo, Change, Layer, Thread, TileRef, Title
from nanobana.protocol.errors import BadInput, NanobanaError
from nanobana.protocol.geometry import MAX_SIDE
from nanobana.protocol.replica import Replica, names_of
from nanobana.raster.codec import blob_name, decode_tile
from nanobana_server.store.ops.comments import MAX_THREADS
from nanobana_server.store.ops.zips import BadZip, NoPart, open_zip, read_part, writing
from nanobana_server.store.release import BATCH
from nanobana_server.store.store import Store

HEAD, HISTORY, BLOBS = "canvas.json", "history.jsonl", "blobs/"
HEAD_BYTES = 64 << 20
"""Of the JSON parts: more is refused before it is unpacked."""


class Head(msgspec.Struct, frozen=True, kw_only=True):
    """``canvas.json``: the canvas as it is now."""

    format: Literal["nanobana-canvas"] = "nanobana-canvas"
    version: Literal[1] = 1
    title: Title = ""
    width: int = 0
    height: int = 0
    layers: list[Layer] = []
    tiles: list[TileRef] = []
    threads: Annotated[list[Thread], Meta(max_length=MAX_THREADS)] = []
    """Comments, with the names of who said what."""
    seq: int = 0
    """Changes in ``history.jsonl``, one JSON object (Change) a line; 0 without it."""


async def write_canvas_file(store: Store, canvas: str, out: BinaryIO, *, history: bool) -> None:
    """Write a canvas as it is at one position; with `history` also every change and every picture ever shown.

    Links, members and undo stacks are left out: they belong to this server's people.

    Raises:
        NotFound: ``no_canvas``.
    """
    manifest = await store.manifest(canvas)
    changes = [change async for change in store.history(canvas)] if history else []
    changes = [change for change in changes if change.seq <= manifest.position.seq]
    head = Head(
        title=manifest.canvas.title,
        width=manifest.canvas.width,
        height=manifest.canvas.height,
        layers=manifest.layers,
        tiles=manifest.tiles,
        threads=await store.threads(canvas),
        seq=len(changes),
    )
    async with writing(store.pool, out) as file:
        await store.pool.run(_write_text, file, HEAD, [msgspec.json.encode(head)])
        if history:
            await store.pool.run(_write_text, file, HISTORY, [msgspec.json.encode(change) for change in changes])
        names = sorted(_names(manifest.tiles, changes))
        for start in range(0, len(names), BATCH):
            batch = names[start : start + BATCH]
            data = await store.get_blobs(canvas, batch)
            await store.pool.run(
                _write_blobs, file, [(n, d) for n, d in zip(batch, data, strict=True) if d is not None]
            )


async def read_canvas_file(store: Store, canvas: str, source: BinaryIO) -> CanvasInfo:
    """Make an empty canvas what the file says; nobody may have been let in yet.

    Every blob is checked against its name, every tile decoded, and a history replayed: a file that contradicts itself
    is refused and leaves the canvas empty.

    Raises:
        BadInput: ``bad_canvas_file``, with what is wrong.
        StorageFull: it does not fit the canvas's budget.
    """
    try:
        with await store.pool.run(open_zip, source) as file:
            head, changes = await store.pool.run(_read_text, file)
            await _put_all(store, canvas, file, head, changes)
    except BadZip as error:
        raise _bad(str(error)) from error
    info = msgspec.structs.replace(await store.info(canvas), title=head.title, width=head.width, height=head.height)
    await store.begin_with(canvas, info, head.layers, head.tiles, changes, head.threads)
    return await store.info(canvas)


async def _put_all(store: Store, canvas: str, file: zipfile.ZipFile, head: Head, changes: list[Change]) -> None:
    """Every blob of the file that it names itself, checked, into the canvas."""
    wanted = sorted(_names(head.tiles, changes))
    present = {info.filename.removeprefix(BLOBS): info for info in file.infolist() if info.filename.startswith(BLOBS)}
    budget = (await store.info(canvas)).budget_bytes
    if sum(present[name].file_size for name in wanted if name in present) > budget:
        raise _bad(f"it holds more than the {budget >> 20} MiB that a canvas may have here")
    tiles = {tile.name for tile in (*head.tiles, *(tile for change in changes for tile in change.tiles))}
    shown = {tile.name for tile in head.tiles}
    for start in range(0, len(wanted), BATCH):
        batch = wanted[start : start + BATCH]
        lost = [name for name in batch if name not in present and name in shown]
        if lost:
            raise _bad(f"the picture {lost[0]} is missing")
        data = await store.pool.run(_read_blobs, file, [present[name] for name in batch if name in present], tiles)
        await store.put_blobs(canvas, data)


def _names(tiles: Iterable[TileRef], changes: Iterable[Change]) -> set[str]:
    """Every blob that a canvas and its history name."""
    named = {tile.name for tile in tiles}
    for change in changes:
        named.update(tile.name for tile in change.tiles)
        if change.job is not None:
            named.add(change.job.mask)
            named.update(blob for variation in change.job.results for blob in variation.blobs)
    return named - {""}


def _write_text(file: zipfile.ZipFile, name: str, lines: list[bytes]) -> None:
    file.writestr(name, b"\n".join(lines), zipfile.ZIP_DEFLATED)


def _write_blobs(file: zipfile.ZipFile, blobs: Iterable[tuple[str, bytes]]) -> None:
    for name, data in blobs:
        file.writestr(BLOBS + name, data)


def _read_text(file: zipfile.ZipFile) -> tuple[Head, list[Change]]:
    try:
        head = msgspec.json.decode(read_part(file, HEAD, HEAD_BYTES), type=Head)
        lines = read_part(file, HISTORY, HEAD_BYTES).splitlines() if head.seq else []
        changes = [msgspec.json.decode(line, type=Change) for line in lines]
    except NoPart as error:
        raise _bad("it is no canvas of ours, or a part of it is missing") from error
    except msgspec.DecodeError as error:
        raise _bad(f"it is not understood: {error}") from error
    if not (0 <= head.width <= MAX_SIDE and 0 <= head.height <= MAX_SIDE):
        raise _bad(f"it is {head.width} x {head.height} pixels")
    layers = {layer.id for layer in head.layers}
    if len(layers) != len(head.layers) or not {tile.layer for tile in head.tiles} <= layers:
        raise _bad("its layers contradict each other")
    if not all(thread.comments for thread in head.threads):
        raise _bad("a thread of it has no comments")
    if [change.seq for change in changes] != list(range(1, head.seq + 1)):
        raise _bad("its history has gaps")
    if changes and _replayed(changes).tiles != names_of(head.tiles):
        raise _bad("its history leads to another picture")
    return head, changes


def _replayed(changes: Iterable[Change]) -> Replica:
    """The canvas after all changes."""
    replica = Replica()
    for change in changes:
        replica.apply(change)
    return replica


def _read_blobs(file: zipfile.ZipFile, infos: Iterable[zipfile.ZipInfo], tiles: set[str]) -> list[bytes]:
    blobs = []
    for info in infos:
        data, name = read_part(file, info.filename, info.file_size), info.filename.removeprefix(BLOBS)
        if blob_name(data) != name:
            raise _bad(f"the picture {name} is damaged")
        if name in tiles:
            try:
                decode_tile(data)
            except NanobanaError as error:
                raise _bad(str(error)) from error
        blobs.append(data)
    return blobs


def _bad(why: str) -> BadInput:
    return BadInput(f"This file cannot be opened as a canvas: {why}.", code="bad_canvas_file")
