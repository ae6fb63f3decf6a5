"""Whole pictures: import as a layer with progress for the room, export as PNG, the sample picture (R10)."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import resources

import anyio
import anyio.to_thread
import msgspec
import structlog
from starlette.requests import Request
from starlette.responses import Response

from nanobana.protocol.errors import BadInput, TooMany
from nanobana.protocol.geometry import Box
from nanobana.protocol.trace import name_of, trace_of
from nanobana.raster.decode import probe
from nanobana_server.api.bodies import read_query, read_upload
from nanobana_server.api.edge import Json
from nanobana_server.api.placement import read_placement, telling
from nanobana_server.metrics import Metrics
from nanobana_server.policy.budgets import Budgets
from nanobana_server.policy.tokens import Access
from nanobana_server.settings import Settings
from nanobana_server.store import Store
from nanobana_server.store.ops import export_png, import_image

AT_ONCE = 2
"""Whole pictures in memory at once; a 12-megapixel one takes about 50 MB."""

WAITING = 16
"""More than this many wait for their turn: the next one is told to come again."""

_log = structlog.get_logger("nanobana.pictures")


class _Part(msgspec.Struct, frozen=True):
    """Query of GET …/export.png."""

    box: str = ""


class Pictures:
    """Handlers of whole pictures."""

    def __init__(self, store: Store, settings: Settings, metrics: Metrics, budgets: Budgets) -> None:
        self._store = store
        self._settings = settings
        self._budgets = budgets
        self._metrics = metrics
        self._turns = anyio.Semaphore(AT_ONCE)
        self._waiting = 0

    async def import_image(self, request: Request, access: Access) -> Response:
        """A JPEG, PNG or WebP becomes a new layer, upright; ImportProgress goes to the room meanwhile."""
        place, op = await read_placement(request, self._store, access)
        body = await read_upload(request, self._settings.upload_bytes, access, self._budgets)
        pixels = self._settings.upload_pixels
        await self._store.pool.run(lambda: probe(body, max_pixels=pixels))
        began = time.monotonic()

        async with self._turn():
            made = await import_image(
                self._store, access.canvas, access.user, op, body,
                layer=place.layer, name=place.name, x=place.x, y=place.y, progress=telling(self._store, access, op),
            )  # fmt: skip
        took = time.monotonic() - began
        self._metrics.import_seconds.observe(took)
        name, ms = name_of(op), round(took * 1000)
        _log.info("picture imported", trace=trace_of(name), canvas=access.canvas, op=name, seq=made.seq, ms=ms)
        return Json({"seq": made.seq, "layer": made.layer, "box": made.box}, 201)

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        """One of the few pictures that are in memory whole; raises TooMany where the queue is long."""
        if self._waiting >= WAITING:
            raise TooMany("many pictures are being worked on: try again in a moment", retry_ms=2000)
        self._waiting += 1
        try:
            async with self._turns:
                yield
        finally:
            self._waiting -= 1

    async def export(self, request: Request, access: Access) -> Response:
        """The visible canvas, or a box of it, as one PNG."""
        box = _box(read_query(request, _Part, "which part of the picture?").box)
        info = await self._store.info(access.canvas)
        wanted = Box(0, 0, info.width, info.height)
        if box is not None:
            wanted = wanted.intersect(box)
        if wanted.width * wanted.height > self._settings.export_pixels:
            limit = self._settings.export_pixels // 1_000_000
            raise BadInput(f"this canvas is larger than {limit} megapixels: crop it first", code="export_too_big")
        async with self._turn():
            png = await export_png(self._store, access.canvas, box)
        headers = {"cache-control": "no-store", "content-disposition": 'attachment; filename="canvas.png"'}
        return Response(png, 200, headers, "image/png")

    async def sample(self, _request: Request) -> Response:
        """The sample picture of the empty state."""
        data = await anyio.to_thread.run_sync(_sample)
        return Response(data, 200, {"cache-control": "public, max-age=86400"}, "image/jpeg")

    async def manifest(self, _request: Request, access: Access) -> Response:
        """The live manifest as JSON, for scripts and for looking."""
        return Json(await self._store.manifest(access.canvas), headers={"cache-control": "no-store"})


def _box(told: str) -> Box | None:
    """``x0,y0,x1,y1`` as a box, nothing as None. Raises BadInput ``bad_query``."""
    if not told:
        return None
    try:
        return msgspec.convert([int(side) for side in told.split(",")], Box)
    except (ValueError, msgspec.ValidationError) as error:
        raise BadInput("a box is x0,y0,x1,y1 in whole pixels", code="bad_query") from error


def _sample() -> bytes:
    return resources.files("nanobana_server.sample").joinpath("sample.jpg").read_bytes()
