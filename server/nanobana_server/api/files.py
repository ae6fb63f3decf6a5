"""Whole canvases and their layers as files: save one, open one as a new canvas, bring one in (C1, C8)."""

import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import BinaryIO

import anyio
import msgspec
import structlog
from anyio.to_thread import run_sync
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from nanobana.protocol.errors import BadInput, NanobanaError
from nanobana.protocol.trace import name_of, trace_of
from nanobana_server.api.bodies import count_upload, pieces_of, read_query
from nanobana_server.api.canvases import Canvases, NewCanvas
from nanobana_server.api.edge import Json
from nanobana_server.api.placement import read_placement, telling
from nanobana_server.policy.budgets import Budgets
from nanobana_server.policy.tokens import Access
from nanobana_server.settings import Settings
from nanobana_server.store import Store
from nanobana_server.store.ops import import_open_raster, read_canvas_file, write_canvas_file, write_open_raster

AT_ONCE = 2
"""Files written or read at once; more wait."""

PIECE = 256 << 10

_log = structlog.get_logger("nanobana.files")


class _Wanted(msgspec.Struct, frozen=True):
    """Query of GET …/file."""

    history: bool = False


class Files:
    """Handlers of canvas files. They pass through a file on the disk, never whole through memory."""

    def __init__(self, store: Store, settings: Settings, canvases: Canvases, budgets: Budgets) -> None:
        self._store = store
        self._settings = settings
        self._budgets = budgets
        self._canvases = canvases
        self._turns = anyio.Semaphore(AT_ONCE)

    async def save(self, request: Request, access: Access) -> Response:
        """The canvas as a file to keep, to move to another server, or to open again as a copy."""
        wanted = read_query(request, _Wanted, "what should the file hold?")

        async def write(file: BinaryIO) -> None:
            await write_canvas_file(self._store, access.canvas, file, history=wanted.history)

        return await self._written(write, "canvas.nanobana", "application/zip")

    async def open_raster(self, _request: Request, access: Access) -> Response:
        """The canvas with its layers as an OpenRaster file, for other painting programs."""
        info = await self._store.info(access.canvas)
        if info.width * info.height > self._settings.export_pixels:
            limit = self._settings.export_pixels // 1_000_000
            raise BadInput(f"this canvas is larger than {limit} megapixels: crop it first", code="export_too_big")

        async def write(file: BinaryIO) -> None:
            await write_open_raster(self._store, access.canvas, file)

        return await self._written(write, "canvas.ora", "image/openraster")

    async def _written(self, write: Callable[[BinaryIO], Awaitable[None]], name: str, kind: str) -> Response:
        file = await run_sync(_scratch)
        try:
            async with self._turns:
                await write(file)
            size = await run_sync(_rewound, file)
        except BaseException:
            file.close()
            raise
        headers = {
            "cache-control": "no-store",
            "content-length": str(size),
            "content-disposition": f'attachment; filename="{name}"',
        }
        return StreamingResponse(_pieces(file), 200, headers, kind, background=BackgroundTask(file.close))

    async def import_open_raster(self, request: Request, access: Access) -> Response:
        """The layers of an OpenRaster file become layers here; ImportProgress goes to the room meanwhile."""
        place, op = await read_placement(request, self._store, access)
        await count_upload(request, self._settings.file_bytes, access, self._budgets)
        async with self._received(request) as file, self._turns:
            made = await import_open_raster(
                self._store, access.canvas, access.user, op, file,
                layer=place.layer, name=place.name, x=place.x, y=place.y,
                max_pixels=self._settings.upload_pixels, progress=telling(self._store, access, op),
            )  # fmt: skip
        _log.info("layers imported", trace=trace_of(name_of(op)), canvas=access.canvas, op=name_of(op), seq=made.seq)
        return Json({"seq": made.seq, "layer": made.layer, "box": made.box, "notes": made.notes}, 201)

    async def open(self, request: Request) -> Response:
        """A file becomes a new canvas; its three links are told this once."""
        await self._canvases.count_new(request)
        async with self._received(request) as file:
            canvas = await self._canvases.new(NewCanvas())
            try:
                async with self._turns:
                    await read_canvas_file(self._store, canvas, file)
            except NanobanaError:
                await self._store.delete_canvas(canvas)
                raise
        _log.info("canvas opened from a file", canvas=canvas)
        return await self._canvases.first_links(canvas)

    @asynccontextmanager
    async def _received(self, request: Request) -> AsyncIterator[BinaryIO]:
        """The body as a file, at its beginning; raises like `pieces_of`."""
        file = await run_sync(_scratch)
        try:
            async for piece in pieces_of(request, self._settings.file_bytes):
                await run_sync(file.write, piece)
            await run_sync(_rewound, file)
            yield file
        finally:
            file.close()


def _scratch() -> BinaryIO:
    """A file without a name: it is gone with its last descriptor, whatever happens."""
    return tempfile.TemporaryFile()


def _rewound(file: BinaryIO) -> int:
    size = file.seek(0, 2)
    file.seek(0)
    return size


async def _pieces(file: BinaryIO) -> AsyncIterator[bytes]:
    while piece := await run_sync(file.read, PIECE):
        yield piece
