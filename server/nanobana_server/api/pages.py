"""The web client's files: the page for every canvas, hashed assets for ever, the rest briefly."""

import mimetypes
from pathlib import Path

import anyio.to_thread
from starlette.requests import Request
from starlette.responses import FileResponse, Response

from nanobana.protocol.errors import NotFound
from nanobana_server.api.edge import CSP

_ICONS = ".webmanifest"
_UNBUILT = (
    b"<!doctype html><meta charset=utf-8><title>nanobana</title><p>The web client is not built: "
    b"run <code>make web</code> in the repository, or install the wheel.</p>"
)

mimetypes.add_type("application/manifest+json", _ICONS)
mimetypes.add_type("text/javascript", ".js")


class Pages:
    """Serves one folder of built files; what is not in it does not exist."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def page(self, _request: Request) -> Response:
        """`index.html` for ``/`` and for every ``/c/…``: the client reads the address itself."""
        headers = {"cache-control": "no-cache", "content-security-policy": CSP}
        index = self._folder / "index.html"
        if not await anyio.to_thread.run_sync(index.is_file):
            return Response(_UNBUILT, 200, headers, "text/html")
        return FileResponse(index, headers=headers, media_type="text/html")

    async def asset(self, request: Request) -> Response:
        """A file of the build. Names under ``assets/`` carry a hash of their content, so they never change."""
        name: str = request.path_params["path"]
        path = await anyio.to_thread.run_sync(self._find, name)
        for_ever = name.startswith("assets/")
        cache = "public, max-age=31536000, immutable" if for_ever else "no-cache"
        return FileResponse(path, headers={"cache-control": cache, "content-security-policy": CSP})

    def _find(self, name: str) -> Path:
        folder = self._folder.resolve()
        path = (folder / name).resolve()
        if not path.is_relative_to(folder) or not path.is_file():
            raise NotFound(f"there is no {name} here", code="no_such_file")
        return path
