"""Links, room tickets and the store's secret: what a link is worth is kept, its secret is not (design §8)."""

import hashlib
import secrets
from collections.abc import Sequence
from typing import Any, Literal

import msgspec

from nanobana.keyspace import keys as names
from nanobana.keyspace.client import Client
from nanobana.keyspace.keys import CanvasKeys
from nanobana.protocol.canvas import Role
from nanobana.protocol.errors import Conflict, NotAllowed, NotFound
from nanobana_server.store.base import Base
from nanobana_server.store.pool import Pool
from nanobana_server.store.verdicts import Verdict, read_verdicts

ROLES: tuple[Role, ...] = ("owner", "editor", "commenter", "viewer")
TICKET_TTL_S = 60

COUNTED = 1000
"""People who are counted of a link without a limit."""

LinkState = Literal["open", "used_up", "expired", "revoked"]


class Link(msgspec.Struct, frozen=True, kw_only=True):
    """A link as an owner sees it; its secret was shown once."""

    id: str
    role: Role
    created_ms: int
    state: LinkState
    expires_ms: int | None = None
    max_uses: int | None = None
    used: int = 0
    """People who came by it, `COUNTED` at most where there is no limit."""

    @property
    def holds(self) -> bool:
        """Who came by it may stay; whether others may come is for `state` to say."""
        return self.state in ("open", "used_up")


class Stay(msgspec.Struct, frozen=True, kw_only=True):
    """What decides who may be on a canvas."""

    links: frozenset[str]
    """Those that hold; none of a canvas that was deleted."""
    verdicts: tuple[Verdict, ...]


class Invitation(msgspec.Struct, frozen=True, kw_only=True):
    """What a new link is to be worth."""

    role: Role
    expires_ms: int | None = None
    """By the store's clock."""
    max_uses: int | None = None
    """How many people may come by it; each may come back."""


class Admitted(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody may come in."""

    link: str
    link_role: Role
    role: Role
    """The link's, or what an owner gave them instead."""
    now_ms: int


class _Kept(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    role: Role
    created_ms: int
    expires_ms: int | None = None
    max_uses: int | None = None
    revoked: bool = False


_kept = msgspec.msgpack.Decoder(_Kept)

_REFUSED = {
    "none": ("bad_link", "this link is wrong: ask whoever shared it for another"),
    "revoked": ("bad_link", "this link was revoked: ask whoever shared it for another"),
    "expired": ("link_expired", "this link has expired: ask whoever shared it for another"),
    "used_up": ("link_used_up", "as many people as it was made for came by this link: ask for another"),
    "banned": ("banned", "an owner has removed you from this canvas"),
}


class Access(Base):
    """The part of the store that knows who may come in."""

    def __init__(self, client: Client, pool: Pool) -> None:
        super().__init__(client, pool)
        self._secret: bytes | None = None

    async def secret(self) -> bytes:
        """32 random bytes, the same for all servers of this store; drawn by the first."""
        if self._secret is None:
            await self.client.call("SET", names.SECRET, secrets.token_bytes(32), "NX")
            self._secret = await self.client.call("GET", names.SECRET)
        assert self._secret is not None
        return self._secret

    async def create_links(self, canvas: str, roles: Sequence[Role] = ROLES) -> dict[Role, tuple[str, str]]:
        """A new lasting link per role: role → link ID and secret. Secrets are shown this once."""
        return {role: await self.create_link(canvas, Invitation(role=role)) for role in roles}

    async def create_link(self, canvas: str, wanted: Invitation) -> tuple[str, str]:
        """A new link: its ID and its secret, which is shown this once; the store keeps a peppered hash."""
        secret = secrets.token_urlsafe(32)
        link = await self.link_id(canvas, secret)
        kept = _Kept(
            role=wanted.role,
            created_ms=await self.now_ms(),
            expires_ms=wanted.expires_ms,
            max_uses=wanted.max_uses,
        )
        await self.client.call("HSET", CanvasKeys(canvas).links, link, msgspec.msgpack.encode(kept))
        return link, secret

    async def admit(self, canvas: str, secret: str, user: str) -> Admitted:
        """Somebody comes by a link; who comes for the first time counts as one use, atomically over all servers.

        Raises:
            NotAllowed: ``bad_link``, ``link_expired``, ``link_used_up`` or ``banned``.
        """
        keys = CanvasKeys(canvas)
        link = await self.link_id(canvas, secret)
        what, packed, given, now_ms = await self.client.run(
            "admit", [keys.links, keys.arrivals, keys.verdicts], [link, user, COUNTED]
        )
        if what != b"in":
            code, text = _REFUSED[what.decode()]
            raise NotAllowed(text, code=code)
        link_role = _kept.decode(packed).role
        role = msgspec.convert(given.decode() or link_role, Role)
        return Admitted(link=link, link_role=link_role, role=role, now_ms=int(now_ms))

    async def has_link(self, canvas: str, link: str) -> bool:
        """Whether there is a link of that ID here, whatever it is worth."""
        return bool(await self.client.call("HEXISTS", CanvasKeys(canvas).links, link))

    async def revoke_link(self, canvas: str, link: str) -> None:
        """Nobody comes or stays by this link.

        Raises:
            NotFound: ``no_link``.
            Conflict: ``last_owner``: nobody could be sure to manage the canvas any more.
        """
        what = await self.client.run("revoke_link", [CanvasKeys(canvas).links], [link])
        if what == b"none":
            raise NotFound("there is no such link", code="no_link")
        if what == b"last_owner":
            text = "this is the last owner's link that lasts: make another one first"
            raise Conflict(text, code="last_owner")

    async def list_links(self, canvas: str) -> list[Link]:
        """All links, oldest first."""
        keys = CanvasKeys(canvas)
        found = await self.client.call("HGETALL", keys.links)
        if not found:
            return []
        counts = await self.client.call("HMGET", keys.arrivals, *found)
        now_ms = await self.now_ms()
        links = [
            _link(link.decode(), _kept.decode(data), int(used or 0), now_ms)
            for (link, data), used in zip(found.items(), counts, strict=True)
        ]
        return sorted(links, key=lambda link: (link.created_ms, ROLES.index(link.role), link.id))

    async def who_may_stay(self, canvas: str) -> Stay | None:
        """What every server asks of each open canvas once a second, in one round trip; None where no link ever was."""
        keys = CanvasKeys(canvas)
        found, verdicts, until_ms = await self.client.pipeline(
            [("HGETALL", keys.links), ("HVALS", keys.verdicts), ("HGET", keys.deleted, "until_ms")]
        )
        if not found:
            return None
        if until_ms is not None:
            return Stay(links=frozenset(), verdicts=())
        kept = {link.decode(): _kept.decode(data) for link, data in found.items()}
        ends = any(link.expires_ms is not None for link in kept.values())
        now_ms = await self.now_ms() if ends else 0
        holding = frozenset(link for link, data in kept.items() if _link(link, data, 0, now_ms).holds)
        return Stay(links=holding, verdicts=tuple(read_verdicts(verdicts)))

    async def links_of(self, canvas: str, user: str) -> list[str]:
        """IDs of the links that hold and by which somebody came."""
        links = [link.id for link in await self.list_links(canvas) if link.holds]
        if not links:
            return []
        came = await self.client.call("HMGET", CanvasKeys(canvas).arrivals, *(f"{link}/{user}" for link in links))
        return [link for link, at in zip(links, came, strict=True) if at is not None]

    async def bind_client(self, canvas: str, client: str, user: str) -> None:
        """A client ID belongs to the first user who comes with it; its op IDs are nobody else's (C6, R7).

        Raises:
            NotAllowed: ``client_taken``.
        """
        key = CanvasKeys(canvas).clients
        owner = await self.client.run("bind_client", [key], [client, user])
        if owner != user.encode():
            raise NotAllowed("This client ID belongs to somebody else; reload the page.", code="client_taken")

    async def issue_ticket(self, claims: dict[str, Any], ttl_s: int = TICKET_TTL_S) -> str:
        """A ticket that opens a room once, within `ttl_s` (60 s at most)."""
        ticket = secrets.token_urlsafe(24)
        key = names.room_ticket(_plain_digest(ticket))
        await self.client.run("put_ticket", [key], [msgspec.msgpack.encode(claims), min(ttl_s, TICKET_TTL_S)])
        return ticket

    async def take_ticket(self, ticket: str) -> dict[str, Any] | None:
        """What the ticket says, and it is used up; None for an unknown, used or expired one."""
        data = await self.client.call("GETDEL", names.room_ticket(_plain_digest(ticket)))
        return None if data is None else msgspec.msgpack.decode(data, type=dict[str, Any])

    async def link_id(self, canvas: str, secret: str) -> str:
        """ID of the link that has this secret, whether there is one or not."""
        pepper = await self.secret()
        return hashlib.blake2b(f"{canvas}:{secret}".encode(), key=pepper, digest_size=16).hexdigest()


def _link(link: str, kept: _Kept, used: int, now_ms: int) -> Link:
    state: LinkState = "open"
    if kept.revoked:
        state = "revoked"
    elif kept.expires_ms is not None and kept.expires_ms <= now_ms:
        state = "expired"
    elif kept.max_uses is not None and used >= kept.max_uses:
        state = "used_up"
    return Link(
        id=link,
        role=kept.role,
        created_ms=kept.created_ms,
        state=state,
        expires_ms=kept.expires_ms,
        max_uses=kept.max_uses,
        used=used,
    )


def _plain_digest(ticket: str) -> str:
    return hashlib.sha256(ticket.encode()).hexdigest()
