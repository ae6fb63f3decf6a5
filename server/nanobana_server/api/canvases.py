"""Canvases and the way into them: create, tickets, storage (contract of access, design §8)."""

import secrets
import time
from typing import Annotated

import msgspec
from msgspec import Meta
from starlette.requests import Request
from starlette.responses import Response

from nanobana.protocol.canvas import Role, Side, Title
from nanobana.protocol.errors import BadInput
from nanobana_server.api.bodies import read_json
from nanobana_server.api.edge import Json
from nanobana_server.api.gate import canvas_of, cookie_of
from nanobana_server.policy.budgets import Budgets
from nanobana_server.policy.standing import StandingWatch
from nanobana_server.policy.tokens import ACCESS_S, Access, Signer
from nanobana_server.settings import Settings
from nanobana_server.store import Store
from nanobana_server.store.access import TICKET_TTL_S
from nanobana_server.store.deletion import Deleted

NAME_LENGTH = 40

_LINK_NAMES: dict[str, Role] = {"owner": "owner", "edit": "editor", "comment": "commenter", "view": "viewer"}


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


class Canvases:
    """Handlers of everything about a canvas but its pixels."""

    def __init__(
        self, store: Store, signer: Signer, standing: StandingWatch, settings: Settings, budgets: Budgets
    ) -> None:
        self._store = store
        self._signer = signer
        self._standing = standing
        self._settings = settings
        self._budgets = budgets

    async def create(self, request: Request) -> Response:
        """A new canvas and its link for each role; the secrets are shown this once."""
        await self.count_new(request)
        wanted = await read_json(request, NewCanvas)
        if (wanted.width is None) != (wanted.height is None):
            raise BadInput("a size has a width and a height", code="bad_size")
        canvas = await self.new(wanted)
        return await self.first_links(canvas)

    async def count_new(self, request: Request) -> None:
        """One more canvas for this address. Raises TooMany."""
        await self._budgets.canvas(address_of(request))

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
        """The answer that tells a new canvas's first links, this once."""
        made = await self._store.create_links(canvas, tuple(_LINK_NAMES.values()))
        links = {name: made[role][1] for name, role in _LINK_NAMES.items()}
        ids = {name: made[role][0] for name, role in _LINK_NAMES.items()}
        return Json({"canvas": canvas, "links": links, "ids": ids}, 201, {"cache-control": "no-store"})

    async def issue_ticket(self, request: Request) -> Response:
        """Exchange a link's secret for a room ticket, an access token and the cookie."""
        await self._budgets.knock(address_of(request))
        canvas = canvas_of(request)
        told = await read_json(request, Credentials)
        link = await self._store.link_id(canvas, told.secret)
        if await self._store.has_link(canvas, link) or await self._store.wake(canvas):
            await self._budgets.ticket(canvas, link)
        user, user_key = self._signer.person(told.user, told.user_key)
        admitted = await self._store.admit(canvas, told.secret, user)
        until_ms = await self._store.deleted_until(canvas)
        if until_ms is not None:
            raise Deleted(until_ms)
        access = Access(
            canvas=canvas,
            role=admitted.link_role,
            link=admitted.link,
            user=user,
            name=shown_name(told.name),
            color=(told.color or "").lower(),
            watch=told.watch,
            issued_ms=admitted.now_ms,
            expires=int(time.time()) + ACCESS_S,
        )
        token = self._signer.sign(access)
        ticket = await self._store.issue_ticket(msgspec.to_builtins(access))
        body = {
            "ticket": ticket,
            "role": "viewer" if told.watch else admitted.role,
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

    async def storage(self, _request: Request, access: Access) -> Response:
        """What the canvas and its store have used of their budgets (C12)."""
        return Json(await self._store.storage(access.canvas))

    async def allowance(self, _request: Request, access: Access) -> Response:
        """What an edit would count against; ``{"day": null}`` where nothing is counted by the day (R10)."""
        day = await self._budgets.edits_left(access.canvas, access.user, access.link)
        return Json({"day": day}, headers={"cache-control": "no-store"})

    async def comments(self, _request: Request, access: Access) -> Response:
        """Every thread of comments, with the seq up to which changes are in it at least."""
        position = await self._store.position(access.canvas)
        threads = await self._store.threads(access.canvas)
        return Json({"seq": position.seq, "threads": threads}, headers={"cache-control": "no-store"})


def shown_name(name: str) -> str:
    """A name as others will see it: one line, no control characters, not too long."""
    visible = "".join(letter if letter.isprintable() else " " for letter in name)
    return " ".join(visible.split())[:NAME_LENGTH].strip() or "Guest"


def address_of(request: Request) -> str:
    return request.client.host if request.client else ""
