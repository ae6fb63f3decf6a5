"""All routes, each with the policy that the table names for it; a route that is not in the table cannot be built."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.websockets import WebSocket

from nanobana_server.api.blobs import Blobs
from nanobana_server.api.canvases import Canvases
from nanobana_server.api.deletion import Deletion
from nanobana_server.api.edits import Edits
from nanobana_server.api.files import Files
from nanobana_server.api.gate import Gate
from nanobana_server.api.health import Health
from nanobana_server.api.pages import Pages
from nanobana_server.api.past import Past
from nanobana_server.api.pictures import Pictures
from nanobana_server.api.sharing import Sharing
from nanobana_server.policy.table import ROUTES, Need
from nanobana_server.policy.tokens import Access

Open = Callable[[Request], Awaitable[Response]]
Guarded = Callable[[Request, Access], Awaitable[Response]]
Socket = Callable[[WebSocket], Awaitable[None]]

_ROLES = frozenset({Need.VIEWER, Need.COMMENTER, Need.EDITOR, Need.OWNER})
_CANVAS = "/api/canvases/{canvas}"


@dataclass(frozen=True, slots=True)
class Handlers:
    """Whatever answers requests."""

    pages: Pages
    health: Health
    canvases: Canvases
    blobs: Blobs
    pictures: Pictures
    files: Files
    edits: Edits
    sharing: Sharing
    past: Past
    deletion: Deletion
    socket: Socket


def routes(handlers: Handlers, gate: Gate) -> list[BaseRoute]:
    """Every route of the server.

    Raises:
        KeyError: a route's name is not in `policy.table.ROUTES`.
        ValueError: a handler's kind does not fit the need in the table.
    """

    def public(name: str, path: str, handler: Open, *methods: str) -> Route:
        if ROUTES[name] in _ROLES:
            raise ValueError(f"{name} needs a role, but its handler checks none")
        return Route(path, handler, methods=list(methods) or ["GET"], name=name)

    def guarded(name: str, path: str, handler: Guarded, *methods: str) -> Route:
        need = ROUTES[name]
        if need not in _ROLES:
            raise ValueError(f"{name} is open to all by the table, but its handler wants access")

        async def checked(request: Request) -> Response:
            return await handler(request, await gate.require(request, need))

        return Route(path, checked, methods=list(methods) or ["GET"], name=name)

    pages, health, canvases = handlers.pages, handlers.health, handlers.canvases
    blobs, pictures = handlers.blobs, handlers.pictures
    files, sharing = handlers.files, handlers.sharing
    assert ROUTES["socket"] is Need.TICKET
    return [
        guarded("get_blob", f"{_CANVAS}/blobs/{{name}}", blobs.get),  # asked for most, so looked at first
        guarded("get_mip", f"{_CANVAS}/mips/{{layer}}/{{level:int}}/{{tx:int}}/{{ty:int}}/{{key}}", blobs.get_mip),
        public("page", "/", pages.page),
        public("canvas_page", "/c/{canvas}", pages.page),
        public("healthz", "/healthz", health.healthz),
        public("readyz", "/readyz", health.readyz),
        public("metrics", "/metrics", health.metrics),
        public("sample", "/api/sample", pictures.sample),
        public("create_canvas", "/api/canvases", canvases.create, "POST"),
        public("open_file", "/api/canvases/file", files.open, "POST"),
        public("issue_ticket", f"{_CANVAS}/tickets", canvases.issue_ticket, "POST"),
        public("take_back", f"{_CANVAS}/take-back", handlers.deletion.take_back, "POST"),
        WebSocketRoute(f"{_CANVAS}/ws", handlers.socket, name="socket"),
        guarded("put_blob", f"{_CANVAS}/blobs", blobs.put, "PUT"),
        guarded("get_manifest", f"{_CANVAS}/manifest", pictures.manifest),
        guarded("get_edits", f"{_CANVAS}/edits", handlers.edits.page),
        guarded("get_thumb", f"{_CANVAS}/thumbs/{{name}}", handlers.edits.thumb),
        guarded("get_comments", f"{_CANVAS}/comments", canvases.comments),
        guarded("get_moments", f"{_CANVAS}/past", handlers.past.page),
        guarded("get_past", f"{_CANVAS}/past/{{seq:int}}", handlers.past.canvas),
        guarded("get_past_thumb", f"{_CANVAS}/past/{{seq:int}}/thumb", handlers.past.thumb),
        guarded(
            "get_past_mip",
            f"{_CANVAS}/past/{{seq:int}}/mips/{{layer}}/{{level:int}}/{{tx:int}}/{{ty:int}}/{{key}}",
            handlers.past.mip,
        ),
        guarded("get_allowance", f"{_CANVAS}/allowance", canvases.allowance),
        guarded("get_storage", f"{_CANVAS}/storage", canvases.storage),
        guarded("import_image", f"{_CANVAS}/images", pictures.import_image, "POST"),
        guarded("export_png", f"{_CANVAS}/export.png", pictures.export),
        guarded("export_ora", f"{_CANVAS}/export.ora", files.open_raster),
        guarded("import_ora", f"{_CANVAS}/import.ora", files.import_open_raster, "POST"),
        guarded("save_file", f"{_CANVAS}/file", files.save),
        guarded("list_links", f"{_CANVAS}/links", sharing.list_links),
        guarded("create_link", f"{_CANVAS}/links", sharing.create_link, "POST"),
        guarded("revoke_link", f"{_CANVAS}/links/{{link}}", sharing.revoke_link, "DELETE"),
        guarded("list_people", f"{_CANVAS}/people", sharing.list_people),
        guarded("set_role", f"{_CANVAS}/people/{{user}}/role", sharing.set_role, "PUT"),
        guarded("kick", f"{_CANVAS}/people/{{user}}/kick", sharing.kick, "POST"),
        guarded("ban", f"{_CANVAS}/people/{{user}}/ban", sharing.ban, "PUT"),
        guarded("forgive", f"{_CANVAS}/people/{{user}}/ban", sharing.forgive, "DELETE"),
        guarded("delete_canvas", _CANVAS, handlers.deletion.delete, "DELETE"),
        public("asset", "/{path:path}", pages.asset),
    ]
