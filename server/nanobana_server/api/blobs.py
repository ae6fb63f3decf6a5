"""Bytes over HTTP: tiles and patches by content name, mip tiles by key, uploads; immutable and private (C2, C11)."""

from collections import OrderedDict

import anyio
import anyio.lowlevel
from starlette.requests import Request
from starlette.responses import Response

from nanobana.protocol.errors import BadInput, NotFound
from nanobana.raster.decode import probe
from nanobana_server.api.bodies import read_upload
from nanobana_server.api.edge import Json
from nanobana_server.policy.budgets import Budgets
from nanobana_server.policy.tokens import Access
from nanobana_server.settings import Settings
from nanobana_server.store import Store

CACHE_BYTES = 64 << 20
"""Blobs kept in this process, so that a second member's join costs the store nothing."""

CACHED_BLOB_BYTES = 1 << 20
"""Larger ones are not kept."""

FOR_EVER = "private, max-age=31536000, immutable"

_HEX = frozenset("0123456789abcdef")
_NAME = 32


class BlobReader:
    """Reads blobs by name through a cache; requests that arrive together share one trip to the store."""

    def __init__(self, store: Store, *, cache_bytes: int = CACHE_BYTES) -> None:
        self._store = store
        self._room = cache_bytes
        self._cache: OrderedDict[tuple[str, str], bytes] = OrderedDict()
        self._batches: dict[str, _Batch] = {}

    async def get(self, canvas: str, name: str) -> bytes:
        """One blob. Raises NotFound ``missing_blob``."""
        cached = self._cache.get((canvas, name))
        if cached is not None:
            self._cache.move_to_end((canvas, name))
            return cached
        batch = self._batches.get(canvas)
        if batch is None:
            batch = self._batches[canvas] = _Batch()
            batch.names[name] = None
            with anyio.CancelScope(shield=True):  # others wait for this one's answer
                await self._fetch(canvas, batch)
        else:
            batch.names[name] = None
            await batch.done.wait()
        if batch.error is not None:
            raise batch.error
        found = batch.names[name]
        if found is None:
            raise NotFound("there are no such bytes here", code="missing_blob")
        return found

    async def _fetch(self, canvas: str, batch: "_Batch") -> None:
        await anyio.lowlevel.checkpoint()  # let the requests of this turn of the loop come together
        del self._batches[canvas]
        try:
            names = list(batch.names)
            for name, data in zip(names, await self._store.get_blobs(canvas, names), strict=True):
                batch.names[name] = data
                if data is not None and len(data) <= CACHED_BLOB_BYTES:
                    self._keep((canvas, name), data)
        except Exception as error:  # noqa: BLE001 - everybody who waits must hear of it
            batch.error = error
        finally:
            batch.done.set()

    def _keep(self, key: tuple[str, str], data: bytes) -> None:
        if key in self._cache:
            return
        self._cache[key] = data
        self._room -= len(data)
        while self._room < 0:
            _, old = self._cache.popitem(last=False)
            self._room += len(old)


class _Batch:
    """Names that are fetched together, and what came of it."""

    def __init__(self) -> None:
        self.names: dict[str, bytes | None] = {}
        self.done = anyio.Event()
        self.error: Exception | None = None


class Blobs:
    """Handlers of bytes by name."""

    def __init__(self, store: Store, settings: Settings, budgets: Budgets) -> None:
        self._store = store
        self._settings = settings
        self._budgets = budgets
        self._reader = BlobReader(store)

    async def get(self, request: Request, access: Access) -> Response:
        """A blob; its name is its content's hash, so it never changes."""
        name = name_in(request)
        if request.headers.get("if-none-match") == f'"{name}"':
            return immutable(b"", name, status=304)
        return immutable(await self._reader.get(access.canvas, name), name)

    async def get_mip(self, request: Request, access: Access) -> Response:
        """A mip tile; 409 ``stale`` where the tiles that the key names are not the current ones."""
        params = request.path_params
        key: str = params["key"]
        data = await self._store.mip_tile(
            access.canvas, params["layer"], params["level"], params["tx"], params["ty"], key
        )
        return immutable(data, key)

    async def put(self, request: Request, access: Access) -> Response:
        """Store a picture's bytes for an op that names them (C11)."""
        body = await read_upload(request, self._settings.upload_bytes, access, self._budgets)
        if not body:
            raise BadInput("there is nothing in this upload", code="image_format")
        pixels = self._settings.upload_pixels
        await self._store.pool.run(lambda: probe(body, max_pixels=pixels))
        names = await self._store.put_blobs(access.canvas, [body])
        return Json({"name": names[0]}, 201)


def name_in(request: Request) -> str:
    """The blob name in the path. Raises NotFound ``missing_blob`` for what cannot be one."""
    name = str(request.path_params["name"])
    if len(name) != _NAME or not _HEX.issuperset(name):
        raise NotFound("there are no such bytes here", code="missing_blob")
    return name


def immutable(data: bytes, tag: str, status: int = 200) -> Response:
    """Bytes that a name stands for, to be cached for ever."""
    headers = {"cache-control": FOR_EVER, "etag": f'"{tag}"'}
    return Response(data, status, headers, None if status == 304 else media_type(data))


def media_type(data: bytes) -> str:
    """The type of stored bytes by their first ones; never one that a browser would run."""
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if data.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    return "application/octet-stream"
