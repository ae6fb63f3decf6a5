"""The outer edge of HTTP: errors become JSON with a code, foreign pages are kept out, every answer has its headers."""

import math
from collections.abc import Collection

import msgspec
import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from nanobana.protocol.errors import NanobanaError, NotAllowed
from nanobana_server.policy.origin import is_allowed

_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})

CSP = "; ".join(
    (
        "default-src 'self'",
        "img-src 'self' blob: data:",
        "connect-src 'self' ws: wss:",
        "style-src 'self' 'unsafe-inline'",
        "worker-src 'self' blob:",
        "object-src 'none'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
"""Scripts only from our own files; inline styles because positions of cursors and bars are set on elements."""

_HEADERS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}

_log = structlog.get_logger("nanobana.http")


class Json(Response):
    """A msgspec-encodable value as JSON, never kept by a cache."""

    media_type = "application/json"

    def render(self, content: object) -> bytes:
        return msgspec.json.encode(content)


def told(error: NanobanaError) -> Json:
    """An error of ours as its answer: ``{code, message, retry_ms?}``."""
    body: dict[str, object] = {"code": error.code, "message": error.message}
    headers = {"cache-control": "no-store"}
    if error.retry_ms is not None:
        body["retry_ms"] = error.retry_ms
        headers["retry-after"] = str(max(1, math.ceil(error.retry_ms / 1000)))
    return Json(body, error.status, headers)


async def on_nanobana_error(request: Request, error: Exception) -> Response:
    """Answer with the error's own code and status."""
    assert isinstance(error, NanobanaError)
    if error.status >= 500:
        _log.warning("request refused", path=request.url.path, code=error.code)
    return told(error)


async def on_http_error(_request: Request, error: Exception) -> Response:
    """A path or method that does not exist, in the same shape as our own errors."""
    assert isinstance(error, HTTPException)
    code = {404: "not_found", 405: "method_not_allowed"}.get(error.status_code, "bad_request")
    body = {"code": code, "message": str(error.detail)}
    return Json(body, error.status_code, {"cache-control": "no-store", **(error.headers or {})})


async def on_bug(request: Request, error: Exception) -> Response:
    """What we did not foresee: the log has all of it, the answer none."""
    _log.error("request failed", path=request.url.path, exc_info=error)
    body = {"code": "server_error", "message": "something broke here; what was saved is safe, try again"}
    return Json(body, 500, {"cache-control": "no-store"})


class Guard:
    """Refuses state-changing requests and sockets from pages of other origins, and adds the security headers."""

    def __init__(self, app: ASGIApp, *, allowed_origins: Collection[str]) -> None:
        self._app = app
        self._allowed = frozenset(allowed_origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        changes = scope["type"] == "websocket" or scope["method"] not in _SAFE
        headers = Headers(scope=scope)
        if changes and not is_allowed(headers.get("origin"), headers.get("host"), self._allowed):
            error = NotAllowed("pages of another origin may not use this server", code="origin_not_allowed")
            await self._refuse(error, scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                out = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    out.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, send_with_headers if scope["type"] == "http" else send)

    @staticmethod
    async def _refuse(error: NotAllowed, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await receive()
        await told(error)(scope, receive, send)
