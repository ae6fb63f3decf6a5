"""Who may come and as what, for owners: links that invite, and the people who came by them (R7)."""

from typing import Annotated

import msgspec
from msgspec import Meta
from starlette.requests import Request
from starlette.responses import Response

from nanobana.protocol.canvas import Person, Role
from nanobana.protocol.errors import BadInput
from nanobana_server.api.bodies import read_json
from nanobana_server.api.edge import Json
from nanobana_server.policy.standing import StandingWatch
from nanobana_server.policy.tokens import Access
from nanobana_server.store import Store
from nanobana_server.store.access import Invitation
from nanobana_server.store.verdicts import Deed

YEAR_S = 366 * 24 * 3600

_FRESH = {"cache-control": "no-store"}
_MAX_ID = 64


class NewLink(msgspec.Struct, frozen=True):
    """Body of POST …/links."""

    role: Role
    expires_s: Annotated[int, Meta(ge=60, le=YEAR_S)] | None = None
    """From now; None: it lasts."""
    max_uses: Annotated[int, Meta(ge=1, le=1000)] | None = None
    """How many people may come by it; each may come back."""


class NewRole(msgspec.Struct, frozen=True):
    """Body of PUT …/people/{user}/role."""

    role: Role


class Ban(msgspec.Struct, frozen=True):
    """Body of PUT …/people/{user}/ban."""

    links: bool = False
    """Revoke the links by which they came too, so that they cannot come again as somebody else."""


class Sharing:
    """Handlers of links and people."""

    def __init__(self, store: Store, standing: StandingWatch) -> None:
        self._store = store
        self._standing = standing

    async def list_links(self, _request: Request, access: Access) -> Response:
        """Every link with what it is worth and how many people came by it; no secrets."""
        links = await self._store.list_links(access.canvas)
        rows = [msgspec.to_builtins(link) | {"yours": link.id == access.link} for link in links]
        return Json(rows, headers=_FRESH)

    async def create_link(self, request: Request, access: Access) -> Response:
        """A further link; its secret is shown this once."""
        told = await read_json(request, NewLink)
        expires_ms = None if told.expires_s is None else await self._store.now_ms() + told.expires_s * 1000
        wanted = Invitation(role=told.role, expires_ms=expires_ms, max_uses=told.max_uses)
        link, secret = await self._store.create_link(access.canvas, wanted)
        await self._standing.announce(access.canvas)
        return Json(msgspec.to_builtins(wanted) | {"id": link, "secret": secret}, 201, _FRESH)

    async def revoke_link(self, request: Request, access: Access) -> Response:
        """Revoke a link; who came by it is out within a second (R7). Raises Conflict ``last_owner``."""
        await self._store.revoke_link(access.canvas, request.path_params["link"])
        await self._standing.announce(access.canvas)
        return Response(status_code=204)

    async def list_people(self, _request: Request, access: Access) -> Response:
        """Those about whom an owner decided something; who is here now, the room says."""
        verdicts = await self._store.verdicts(access.canvas)
        people = await self._store.people(access.canvas, [verdict.user for verdict in verdicts])
        rows = [
            {"user": v.user, "name": who.name, "color": who.color, "role": v.role, "banned": v.banned}
            for v in verdicts
            for who in [people.get(v.user) or Person(user=v.user)]
        ]
        return Json(rows, headers=_FRESH)

    async def set_role(self, request: Request, access: Access) -> Response:
        """Give somebody another role than their link's; where they are connected it counts at once."""
        told = await read_json(request, NewRole)
        return await self._decide(request, access, "role", told.role)

    async def kick(self, request: Request, access: Access) -> Response:
        """End all that somebody has open here. They may come again."""
        return await self._decide(request, access, "kick")

    async def ban(self, request: Request, access: Access) -> Response:
        """End all that somebody has open here, and let them in no more.

        Raises:
            Conflict: ``last_owner``: they are banned, but the link by which they came is the last owner's.
        """
        told = await read_json(request, Ban)
        answer = await self._decide(request, access, "ban")
        if told.links:
            try:
                for link in await self._store.links_of(access.canvas, _user_of(request)):
                    if link != access.link:
                        await self._store.revoke_link(access.canvas, link)
            finally:
                await self._standing.announce(access.canvas)
        return answer

    async def forgive(self, request: Request, access: Access) -> Response:
        """Let somebody who was banned come again."""
        return await self._decide(request, access, "forgive")

    async def _decide(self, request: Request, access: Access, deed: Deed, role: Role | None = None) -> Response:
        await self._store.decide_about(access.canvas, access.user, _user_of(request), deed, role)
        await self._standing.announce(access.canvas)
        return Response(status_code=204)


def _user_of(request: Request) -> str:
    """Whom the path names. Raises BadInput ``bad_user``."""
    user: str = request.path_params["user"]
    if not 0 < len(user) <= _MAX_ID:
        raise BadInput("that is no user ID", code="bad_user")
    return user
