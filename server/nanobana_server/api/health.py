"""Whether this server lives, whether it is of use, and its figures."""

import anyio
import msgspec
from starlette.requests import Request
from starlette.responses import Response

from nanobana.keyspace.claims import engines
from nanobana.keyspace.keys import FamilyKeys
from nanobana.protocol.errors import NanobanaError
from nanobana_server.api.bodies import read_query
from nanobana_server.api.edge import Json
from nanobana_server.metrics import Metrics
from nanobana_server.room.rooms import Rooms
from nanobana_server.store import Store

PATIENCE_S = 1.0


class _Wanted(msgspec.Struct, frozen=True):
    """Query of GET /readyz."""

    engines: int = 0


class Health:
    """Handlers for whoever runs the server."""

    def __init__(self, store: Store, rooms: Rooms, metrics: Metrics) -> None:
        self._store = store
        self._rooms = rooms
        self._metrics = metrics

    async def healthz(self, _request: Request) -> Response:
        """The process answers."""
        return Json({"ok": True}, headers={"cache-control": "no-store"})

    async def readyz(self, request: Request) -> Response:
        """Whether people can work here; 503 while the store is away or the server is going down.

        With ``?engines=N`` also 503 while fewer engines take work: people can paint then, but not generate.
        """
        wanted = read_query(request, _Wanted, "how many engines should there be?")
        store, count, loading = False, 0, ""
        with anyio.move_on_after(PATIENCE_S):
            try:
                beats = await engines(self._store.client, FamilyKeys())
                count = sum(not beat.loading for beat in beats)
                loading = next((beat.loading for beat in beats if beat.loading), "")
                store = True
            except NanobanaError:
                store = False
        ready = store and not self._rooms.is_draining and count >= wanted.engines
        body = {"ready": ready, "store": store, "engines": count, "loading": loading}
        return Json(body, 200 if ready else 503, {"cache-control": "no-store"})

    async def metrics(self, _request: Request) -> Response:
        return Response(self._metrics.exposition(), media_type="text/plain; version=0.0.4")
