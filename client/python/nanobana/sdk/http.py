"""The HTTP side of a canvas: create it, get tickets, fetch and store blobs, upload pictures, export."""

import asyncio
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Literal

import httpx2 as httpx
import msgspec

from nanobana.protocol.canvas import Manifest, OpId, Role, Thread
from nanobana.protocol.errors import (
    BadInput,
    Conflict,
    NanobanaError,
    NotAllowed,
    NotFound,
    StorageFull,
    TooMany,
    Unavailable,
)
from nanobana.protocol.geometry import Box
from nanobana.protocol.past import Moments
from nanobana.sdk.link import Link

_BY_STATUS: dict[int, type[NanobanaError]] = {
    kind.status: kind for kind in (BadInput, NotAllowed, NotFound, Conflict, StorageFull, TooMany, Unavailable)
}
_BY_CODE: dict[str, type[NanobanaError]] = {kind.code: kind for kind in _BY_STATUS.values()}
_BY_STATUS[410] = NotFound  # deleted


def error_from_wire(code: str, message: str, retry_ms: int | None = None, status: int = 500) -> NanobanaError:
    """The exception for a wire code; a finer code keeps its text and gets the class of its HTTP status, if known."""
    kind = _BY_CODE.get(code) or _BY_STATUS.get(status) or (BadInput if 400 <= status < 500 else NanobanaError)
    return kind(message, code=code, retry_ms=retry_ms)


class Ticket(msgspec.Struct, frozen=True, kw_only=True):
    """What POST …/tickets answers: a single-use room ticket and an access token for HTTP."""

    ticket: str
    role: str
    user: str
    access: str
    user_key: str = ""


@dataclass(frozen=True, slots=True)
class Links:
    """The links of a new canvas. Give away edit, comment or view; keep owner."""

    owner: str
    edit: str
    comment: str
    view: str


class LinkFacts(msgspec.Struct, frozen=True, kw_only=True):
    """A link as its owner sees it; nobody is told its secret again."""

    id: str
    role: Role
    state: Literal["open", "used_up", "expired", "revoked"]
    created_ms: int
    expires_ms: int | None = None
    max_uses: int | None = None
    used: int = 0
    """People who came by it."""
    yours: bool = False
    """The one by which the asker came."""


class PersonFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What an owner decided about somebody."""

    user: str
    name: str = ""
    color: str = ""
    role: Role | None = None
    """Instead of their link's."""
    banned: bool = False


class Arrived(msgspec.Struct, frozen=True, kw_only=True):
    """What became of an OpenRaster file."""

    seq: int
    layer: str
    """The group that its layers are in; on a canvas that had no size there is none, and it is the topmost layer."""
    notes: list[str] = []
    """What could not come as it is there, a sentence each."""


class CanvasHttp:
    """HTTP calls of one canvas for one person; `authorise` first."""

    def __init__(self, link: Link, *, name: str) -> None:
        self.link = link
        self._name = name
        self._who: dict[str, str] = {}
        self._http = httpx.AsyncClient(base_url=link.api, timeout=60.0)

    async def __aenter__(self) -> "CanvasHttp":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.aclose()

    async def authorise(self) -> Ticket:
        """Exchange the link's secret for a ticket; the same person again on every call.

        Raises:
            NotAllowed: the secret is wrong or the link was revoked.
            Unavailable: nobody answers.
        """
        body = {"secret": self.link.secret, "name": self._name, **self._who}
        answer = await self._call("POST", "/tickets", json=body)
        ticket = msgspec.json.decode(answer.content, type=Ticket)
        if ticket.user_key:
            self._who = {"user": ticket.user, "user_key": ticket.user_key}
        self._http.headers["Authorization"] = f"Bearer {ticket.access}"
        return ticket

    async def blob(self, name: str) -> bytes:
        return (await self._call("GET", f"/blobs/{name}")).content

    async def put_blob(self, data: bytes) -> str:
        """Store a picture's bytes; where a budget is used up for the moment, when it is there again."""
        while True:
            try:
                answer = await self._call("PUT", "/blobs", content=data)
            except TooMany as error:
                if error.retry_ms is None:
                    raise
                await asyncio.sleep(error.retry_ms / 1000)
            else:
                return str(msgspec.json.decode(answer.content)["name"])

    async def manifest(self) -> Manifest:
        return msgspec.json.decode((await self._call("GET", "/manifest")).content, type=Manifest)

    async def upload(self, data: bytes, *, op: OpId, layer: str, name: str, x: int, y: int) -> int:
        """A picture as a new layer; returns the seq."""
        query = {"client": op.client, "n": op.n, "layer": layer, "name": name, "x": x, "y": y}
        answer = await self._call("POST", "/images", params=query, content=data, timeout=300.0)
        return int(msgspec.json.decode(answer.content)["seq"])

    async def upload_layers(self, data: bytes, *, op: OpId, layer: str, name: str, x: int, y: int) -> Arrived:
        """The layers of an OpenRaster file as new layers."""
        query = {"client": op.client, "n": op.n, "layer": layer, "name": name, "x": x, "y": y}
        answer = await self._call("POST", "/import.ora", params=query, content=data, timeout=600.0)
        return msgspec.json.decode(answer.content, type=Arrived)

    async def export(self, box: Box | None = None) -> bytes:
        """PNG of the visible canvas, or of a box of it."""
        query = {} if box is None else {"box": f"{box.x0},{box.y0},{box.x1},{box.y1}"}
        return (await self._call("GET", "/export.png", params=query, timeout=300.0)).content

    async def open_raster(self) -> bytes:
        """The canvas with its layers as an OpenRaster file."""
        return (await self._call("GET", "/export.ora", timeout=600.0)).content

    async def file(self, *, history: bool) -> bytes:
        """The whole canvas as one file, for `open_canvas_file`."""
        return (await self._call("GET", "/file", params={"history": str(history).lower()}, timeout=600.0)).content

    async def threads(self) -> list[Thread]:
        """Every thread of comments, the oldest first."""
        data = (await self._call("GET", "/comments")).content
        return msgspec.convert(msgspec.json.decode(data)["threads"], list[Thread])

    async def moments(self, before: int | None) -> Moments:
        """A page of what happened."""
        query = {} if before is None else {"before": before}
        return msgspec.json.decode((await self._call("GET", "/past", params=query)).content, type=Moments)

    async def past(self, seq: int) -> Manifest:
        """The canvas right after a change."""
        return msgspec.json.decode((await self._call("GET", f"/past/{seq}")).content, type=Manifest)

    async def links(self) -> list[LinkFacts]:
        """Every link of the canvas, for its owner."""
        return msgspec.json.decode((await self._call("GET", "/links")).content, type=list[LinkFacts])

    async def invite(self, role: Role, *, expires_s: int | None = None, max_uses: int | None = None) -> str:
        """A new link, for the owner to give away.

        Args:
            expires_s: seconds until it and everybody who came by it are out; None: it lasts.
            max_uses: how many people may come by it; each may come back.
        """
        body = {"role": role, "expires_s": expires_s, "max_uses": max_uses}
        answer = await self._call("POST", "/links", json={key: value for key, value in body.items() if value})
        return str(Link(self.link.origin, self.link.canvas, msgspec.json.decode(answer.content)["secret"]))

    async def revoke(self, link: str) -> None:
        """Close a link, by its ID, for all who came by it. Raises Conflict ``last_owner``."""
        await self._call("DELETE", f"/links/{link}")

    async def people(self) -> list[PersonFacts]:
        """Those whose role an owner changed, who were sent away or banned."""
        return msgspec.json.decode((await self._call("GET", "/people")).content, type=list[PersonFacts])

    async def set_role(self, user: str, role: Role) -> None:
        """Give somebody another role than their link's; it counts at once."""
        await self._call("PUT", f"/people/{user}/role", json={"role": role})

    async def kick(self, user: str) -> None:
        """End all that somebody has open here; they may come again."""
        await self._call("POST", f"/people/{user}/kick")

    async def ban(self, user: str, *, links: bool = False) -> None:
        """End all that somebody has open here for good; with `links`, revoke those by which they came."""
        await self._call("PUT", f"/people/{user}/ban", json={"links": links})

    async def forgive(self, user: str) -> None:
        """Let somebody who was banned come again."""
        await self._call("DELETE", f"/people/{user}/ban")

    async def _call(self, method: str, path: str, **options: Any) -> httpx.Response:
        try:
            answer = await self._http.request(method, path, **options)
        except httpx.TransportError as error:
            raise Unavailable(f"{self.link.origin} does not answer: {error}", retry_ms=1000) from error
        return _checked(answer)


async def create_canvas(origin: str, *, title: str = "", width: int | None = None, height: int | None = None) -> Links:
    """A new canvas on the server at `origin` (``http://127.0.0.1:8000``).

    Without a size the first picture gives it one. Raises Unavailable where nobody answers.
    """
    body = {"title": title, "width": width, "height": height}
    async with httpx.AsyncClient(base_url=origin) as http:
        try:
            answer = await http.post("/api/canvases", json={key: value for key, value in body.items() if value})
        except httpx.TransportError as error:
            raise Unavailable(f"{origin} does not answer: {error}", retry_ms=1000) from error
    return _links(origin, answer)


async def open_canvas_file(origin: str, data: bytes) -> Links:
    """A new canvas from a file that `Canvas.save` gave, of this server or another.

    Raises:
        BadInput: ``bad_canvas_file``, with what is wrong with it.
        Unavailable: nobody answers.
    """
    async with httpx.AsyncClient(base_url=origin, timeout=600.0) as http:
        try:
            answer = await http.post("/api/canvases/file", content=data)
        except httpx.TransportError as error:
            raise Unavailable(f"{origin} does not answer: {error}", retry_ms=1000) from error
    return _links(origin, answer)


def _links(origin: str, answer: httpx.Response) -> Links:
    made = msgspec.json.decode(_checked(answer).content)
    base = f"{origin.rstrip('/')}/c/{made['canvas']}#"
    return Links(**{role: base + secret for role, secret in made["links"].items()})


def _checked(answer: httpx.Response) -> httpx.Response:
    if answer.is_success:
        return answer
    try:
        told = msgspec.json.decode(answer.content)
        code, message, retry_ms = told["code"], told["message"], told.get("retry_ms")
    except (msgspec.DecodeError, KeyError, TypeError):
        code, message, retry_ms = "http_error", f"{answer.request.url} answered {answer.status_code}", None
    raise error_from_wire(code, message, retry_ms, answer.status_code)
