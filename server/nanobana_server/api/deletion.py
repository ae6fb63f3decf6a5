"""Deleting a canvas, and taking it back while that is possible (C12)."""

import contextlib
import secrets

from starlette.requests import Request
from starlette.responses import Response

from nanobana.protocol.canvas import OpId
from nanobana.protocol.errors import Conflict, NotAllowed, NotFound
from nanobana.protocol.messages import Cancel
from nanobana_server import jobs
from nanobana_server.api.bodies import read_json
from nanobana_server.api.canvases import Credentials, address_of
from nanobana_server.api.edge import Json
from nanobana_server.api.gate import canvas_of
from nanobana_server.policy.budgets import Budgets
from nanobana_server.policy.standing import StandingWatch
from nanobana_server.policy.tokens import Access, Signer
from nanobana_server.settings import Settings
from nanobana_server.store import Store
from nanobana_server.store.types import Author

DAY_MS = 86_400_000


class Deletion:
    """Handlers of the end of a canvas."""

    def __init__(
        self, store: Store, signer: Signer, standing: StandingWatch, settings: Settings, budgets: Budgets
    ) -> None:
        self._store = store
        self._signer = signer
        self._standing = standing
        self._budgets = budgets
        self._kept_ms = round(settings.deleted_kept_days * DAY_MS)

    async def delete(self, _request: Request, access: Access) -> Response:
        """Delete the canvas; its sockets are closed with CLOSE_GONE, edits that run are cancelled.

        Answers until when it can be taken back, ms; null: it cannot.
        """
        owner = Author(user=access.user, name=access.name, color=access.color, is_owner=True)
        for job in (await self._store.manifest(access.canvas)).jobs:
            if job.state in ("queued", "running"):
                with contextlib.suppress(Conflict, NotFound):  # it has just ended
                    cancel = Cancel(op=OpId(f"srv-{secrets.token_urlsafe(9)}", 1), job=job.id)
                    await jobs.cancel(self._store, access.canvas, owner, cancel)
        until_ms = await self._store.set_aside(access.canvas, self._kept_ms)
        await self._standing.announce(access.canvas)
        return Json({"until_ms": until_ms if self._kept_ms else None})

    async def take_back(self, request: Request) -> Response:
        """A deleted canvas is there again as it was, for whoever comes by an owner's link."""
        await self._budgets.knock(address_of(request))
        canvas = canvas_of(request)
        told = await read_json(request, Credentials)
        user, _key = self._signer.person(told.user, told.user_key)
        admitted = await self._store.admit(canvas, told.secret, user)
        if admitted.role != "owner":
            raise NotAllowed("only an owner can take a deleted canvas back")
        await self._store.take_back(canvas)
        await self._standing.announce(canvas)
        return Response(status_code=204)
