"""Canvases and the ways into them: create, tickets, links, delete (contract of access, design §8)."""

import secrets
import time
from typing import Annotated

import msgspec
from msgspec import Meta
from starlette.requests import Request
from starlette.responses import Response

from nanobana.protocol.canvas import Role, Side, Title
from nanobana.protocol.errors import BadInput, Conflict, NotAllowed, NotFound
from nanobana_server.api.bodies import read_json
from nanobana_server.api.edge import Json
from nanobana_server.api.gate import canvas_of, cookie_of
from nanobana_server.policy.budgets import Budgets
from nanobana_server.policy.links import LinkWatch
from nanobana_server.policy.tokens import ACCESS_S, Access, Signer
from nanobana_server.room.relay import LINKS_CHANGED
from nanobana_server.settings import Settings
from nanobana_server.store import Store
from nanobana_server.store.access import TICKET_TTL_S

NAME_LENGTH = 40

_LINK_NAMES: dict[str, Role] = {"owner": "owner", "edit": "editor", "view": "viewer"}


class NewCanvas(msgspec.Struct, frozen=True):
    """Body of POST /api/canvases; without a size the first picture gives it one."""

    title: Title = ""
    width: Side | None = None
    height: Side | None = None


class Credentials(msgspec.Struct, frozen=True):
    """Body of POST …/tickets."""

    secret: Annotated[str, Meta(max_length=128)]
    name: Annotated[str, Meta(max_length=200)] = ""
    color: Annotated[str, Meta(pattern="^#[0-9a-fA-F]{6}$")] | None = None
    user: Annotated[str, Meta(pattern="^[A-Za-z0-9_-]{8,64}$")] | None = None
    user_key: Annotated[str, Meta(max_length=64)] | None = None
    watch: bool = False
    """Come as a viewer, e.g. because the room is full."""


class NewLink(msgspec.Struct, frozen=True):
    """Body of POST …/links."""

    role: Role


class Canvases:
    """Handlers of everything about a canvas but its pixels."""

    def __init__(
        self, store: Store, server: str, signer: Signer, links: LinkWatch, settings: Settings, budgets: Budgets
    ) -> None:
        self._store = store
        self._server = server
        self._signer = signer
        self._links = links
        self._settings = settings
        self._budgets = budgets

    async def create(self, request: Request) -> Response:
        """A new canvas and its three links; the secrets are shown this once."""
        await self.count_new(request)
        wanted = await read_json(request, NewCanvas)
        if (wanted.width is None) != (wanted.height is None):
            raise BadInput("a size has a width and a height", code="bad_size")
        canvas = await self.new(wanted)
        return await self.first_links(canvas)

    async def count_new(self, request: Request) -> None:
        """One more canvas for this address. Raises TooMany."""
        await self._budgets.canvas(_address(request))

    async def new(self, wanted: NewCanvas) -> str:
        """A canvas that nobody can come into yet; its ID."""
        canvas = secrets.token_urlsafe(9)
        await self._store.create_canvas(
            canvas,
            title=wanted.title,
            width=wanted.width or 0,
            height=wanted.height or 0,
            budget_bytes=self._settings.budget_bytes,
        )
        return canvas

    async def first_links(self, canvas: str) -> Response:
        """The answer that tells a new canvas's three links, this once."""
        made = await self._store.create_links(canvas, tuple(_LINK_NAMES.values()))
        links = {name: made[role] for name, role in _LINK_NAMES.items()}
        return Json({"canvas": canvas, "links": links}, 201, {"cache-control": "no-store"})

    async def issue_ticket(self, request: Request) -> Response:
        """Exchange a link's secret for a room ticket, an access token and the cookie."""
        await self._budgets.knock(_address(request))
        canvas = canvas_of(request)
        told = await read_json(request, Credentials)
        found = await self._store.find_link(canvas, told.secret)
        if found is None and await self._store.wake(canvas):
            found = await self._store.find_link(canvas, told.secret)
        if found is None:
            raise NotAllowed("this link is wrong or was revoked: ask its owner for another", code="bad_link")
        link, role = found
        await self._budgets.ticket(canvas, link)
        user, user_key = self._signer.person(told.user, told.user_key)
        access = Access(
            canvas=canvas,
            role="viewer" if told.watch else role,
            link=link,
            user=user,
            name=shown_name(told.name),
            color=(told.color or "").lower(),
            expires=int(time.time()) + ACCESS_S,
        )
        token = self._signer.sign(access)
        ticket = await self._store.issue_ticket(msgspec.to_builtins(access))
        body = {
            "ticket": ticket,
            "role": access.role,
            "user": user,
            "user_key": user_key,
            "access": token,
            "expires_ms": int((time.time() + TICKET_TTL_S) * 1000),
        }
        answer = Json(body, headers={"cache-control": "no-store"})
        answer.set_cookie(
            cookie_of(canvas),
            token,
            max_age=ACCESS_S,
            path=f"/api/canvases/{canvas}",
            httponly=True,
            samesite="strict",
            secure=self._settings.public_https or request.url.scheme == "https",
        )
        return answer

    async def list_links(self, _request: Request, access: Access) -> Response:
        links = await self._store.list_links(access.canvas)
        rows = [msgspec.to_builtins(link) | {"yours": link.id == access.link} for link in links]
        return Json(rows, headers={"cache-control": "no-store"})

    async def create_link(self, request: Request, access: Access) -> Response:
        """A further link; its secret is shown this once."""
        wanted = await read_json(request, NewLink)
        secret = (await self._store.create_links(access.canvas, (wanted.role,)))[wanted.role]
        found = await self._store.find_link(access.canvas, secret)
        if found is None:
            raise NotFound("the canvas was deleted meanwhile", code="no_canvas")
        await self._tell(access.canvas)
        body = {"id": found[0], "role": wanted.role, "secret": secret}
        return Json(body, 201, {"cache-control": "no-store"})

    async def revoke_link(self, request: Request, access: Access) -> Response:
        """Revoke a link; sockets that came by it are closed within a second (R7).

        Raises:
            Conflict: ``last_owner``: nobody could manage the canvas any more.
        """
        doomed: str = request.path_params["link"]
        links = await self._store.list_links(access.canvas)
        owners = [link.id for link in links if link.role == "owner" and not link.revoked]
        if owners == [doomed]:
            raise Conflict("this is the last owner's link: make another one first", code="last_owner")
        await self._store.revoke_link(access.canvas, doomed)
        await self._tell(access.canvas)
        return Response(status_code=204)

    async def storage(self, _request: Request, access: Access) -> Response:
        """What the canvas and its store have used of their budgets (C12)."""
        return Json(await self._store.storage(access.canvas))

    async def delete(self, _request: Request, access: Access) -> Response:
        """Delete the canvas with everything in it; its sockets are closed with CLOSE_GONE."""
        await self._store.delete_canvas(access.canvas)
        await self._tell(access.canvas)
        return Response(status_code=204)

    async def _tell(self, canvas: str) -> None:
        self._links.forget(canvas)
        await self._store.publish(canvas, self._server, LINKS_CHANGED)


def shown_name(name: str) -> str:
    """A name as others will see it: one line, no control characters, not too long."""
    visible = "".join(letter if letter.isprintable() else " " for letter in name)
    return " ".join(visible.split())[:NAME_LENGTH].strip() or "Guest"


def _address(request: Request) -> str:
    return request.client.host if request.client else ""
