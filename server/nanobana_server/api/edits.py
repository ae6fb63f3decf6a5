"""Looking back at edits: a page of them, and their thumbnails."""

from typing import Annotated

import msgspec
from msgspec import Meta
from starlette.requests import Request
from starlette.responses import Response

from nanobana_server.api.blobs import immutable, name_in
from nanobana_server.api.bodies import read_query
from nanobana_server.api.edge import Json
from nanobana_server.policy.tokens import Access
from nanobana_server.store import Store
from nanobana_server.store.edits import PAGE


class _Page(msgspec.Struct, frozen=True):
    """Query of GET …/edits."""

    before: Annotated[int, Meta(ge=0)] | None = None
    limit: Annotated[int, Meta(ge=1, le=PAGE)] = PAGE


class Edits:
    """Handlers of edits that are over."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def page(self, request: Request, access: Access) -> Response:
        """Edits that ended, newest first; ask again with the last one's seq as `before` for older ones."""
        wanted = read_query(request, _Page, "which edits?")
        found = await self._store.past_edits(access.canvas, before=wanted.before, limit=wanted.limit)
        return Json({"edits": found, "more": len(found) == wanted.limit}, headers={"cache-control": "no-store"})

    async def thumb(self, request: Request, access: Access) -> Response:
        """A result's thumbnail, by the name of its bytes."""
        name = name_in(request)
        return immutable(await self._store.thumb(access.canvas, name), f"thumb-{name}")
