"""The web client's files: the page for every canvas, hashed assets for ever, the rest briefly; text is sent packed."""

import gzip
import mimetypes
from functools import partial
from pathlib import Path
from typing import NamedTuple

import anyio.to_thread
from starlette.requests import Request
from starlette.responses import Response

from nanobana.protocol.errors import NotFound
from nanobana_server.api.edge import CSP

_UNBUILT = (
    b"<!doctype html><meta charset=utf-8><title>nanobana</title><p>The web client is not built: "
    b"run <code>make web</code> in the repository, or install the wheel.</p>"
)

_TEXT = frozenset({".css", ".html", ".js", ".json", ".map", ".svg", ".txt", ".webmanifest"})
_WORTH_PACKING = 1024
_KEPT_FILES = 256

mimetypes.add_type("application/manifest+json", ".webmanifest")
mimetypes.add_type("text/javascript", ".js")


class _File(NamedTuple):
    """A built file as it is sent, for as long as it is the same on disk."""

    changed_ns: int
    plain: bytes
    packed: bytes | None
    media_type: str
    tag: str


class Pages:
    """Serves one folder of built files; what is not in it does not exist."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: dict[str, _File] = {}

    async def page(self, request: Request) -> Response:
        """`index.html` for ``/`` and for every ``/c/…``: the client reads the address itself."""
        try:
            return await self._send(request, "index.html", "no-cache")
        except NotFound:
            headers = {"cache-control": "no-cache", "content-security-policy": CSP}
            return Response(_UNBUILT, 200, headers, "text/html")

    async def asset(self, request: Request) -> Response:
        """A file of the build. Names under ``assets/`` carry a hash of their content, so they never change."""
        name: str = request.path_params["path"]
        for_ever = name.startswith("assets/")
        return await self._send(request, name, "public, max-age=31536000, immutable" if for_ever else "no-cache")

    async def _send(self, request: Request, name: str, cache: str) -> Response:
        file = await anyio.to_thread.run_sync(partial(self._read, name))
        headers = {"cache-control": cache, "content-security-policy": CSP, "etag": file.tag}
        if request.headers.get("if-none-match") == file.tag:
            return Response(b"", 304, headers)
        if file.packed is None:
            return Response(file.plain, 200, headers, file.media_type)
        headers["vary"] = "accept-encoding"
        if "gzip" not in request.headers.get("accept-encoding", ""):
            return Response(file.plain, 200, headers, file.media_type)
        return Response(file.packed, 200, headers | {"content-encoding": "gzip"}, file.media_type)

    def _find(self, name: str) -> Path:
        missing = NotFound("there is no such file here", code="no_such_file")
        folder = self._folder.resolve()
        try:
            path = (folder / name).resolve()
            if path.is_relative_to(folder) and path.is_file():
                return path
        except (OSError, ValueError) as error:  # a name too long, or with a NUL in it
            raise missing from error
        raise missing

    def _read(self, name: str) -> _File:
        """From memory while the file is unchanged; blocks.

        Raises:
            NotFound: ``no_such_file``, also for everything outside the folder.
        """
        path = self._find(name)
        changed_ns = path.stat().st_mtime_ns
        known = self._files.get(name)
        if known is not None and known.changed_ns == changed_ns:
            return known
        plain = path.read_bytes()
        worth = path.suffix in _TEXT and len(plain) >= _WORTH_PACKING
        file = _File(
            changed_ns,
            plain,
            gzip.compress(plain, 6, mtime=0) if worth else None,
            mimetypes.guess_type(path.name)[0] or "application/octet-stream",
            f'W/"{changed_ns:x}-{len(plain):x}"',
        )
        if len(self._files) < _KEPT_FILES:
            self._files[name] = file
        return file
