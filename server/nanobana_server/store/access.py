"""Links, room tickets and the store's secret: what a link is worth is kept, its secret is not (design §8)."""

import hashlib
import secrets
from collections.abc import Sequence
from typing import Any

import msgspec

from nanobana.keyspace import keys as names
from nanobana.keyspace.client import Client
from nanobana.keyspace.keys import CanvasKeys
from nanobana.protocol.canvas import Role
from nanobana.protocol.errors import NotAllowed, NotFound
from nanobana_server.store.base import Base
from nanobana_server.store.pool import Pool

ROLES: tuple[Role, ...] = ("owner", "editor", "viewer")
TICKET_TTL_S = 60


class Link(msgspec.Struct, frozen=True, kw_only=True):
    """A link as an owner sees it; its secret was shown once."""

    id: str
    role: Role
    created_ms: int
    revoked: bool = False


class _Kept(msgspec.Struct, frozen=True, kw_only=True):
    role: Role
    created_ms: int
    revoked: bool = False


_kept = msgspec.msgpack.Decoder(_Kept)


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

    async def create_links(self, canvas: str, roles: Sequence[Role] = ROLES) -> dict[Role, str]:
        """A new link per role: role → secret. Secrets are shown this once; the store keeps peppered hashes."""
        created_ms = await self.now_ms()
        made: dict[Role, str] = {}
        words: list[str | bytes] = []
        for role in roles:
            made[role] = secrets.token_urlsafe(32)
            kept = _Kept(role=role, created_ms=created_ms)
            words += [await self._digest(canvas, made[role]), msgspec.msgpack.encode(kept)]
        await self.client.call("HSET", CanvasKeys(canvas).links, *words)
        return made

    async def find_link(self, canvas: str, secret: str) -> tuple[str, Role] | None:
        """Link ID and role that a secret stands for; None for an unknown or revoked one."""
        digest = await self._digest(canvas, secret)
        data = await self.client.call("HGET", CanvasKeys(canvas).links, digest)
        if data is None:
            return None
        kept = _kept.decode(data)
        return None if kept.revoked else (digest, kept.role)

    async def link_holds(self, canvas: str, link: str) -> bool:
        """Whether a link exists and is not revoked; sessions that came by it are closed otherwise (R7)."""
        data = await self.client.call("HGET", CanvasKeys(canvas).links, link)
        return data is not None and not _kept.decode(data).revoked

    async def revoke_link(self, canvas: str, link: str) -> None:
        """No new ticket by this link. Raises NotFound ``no_link``."""
        data = await self.client.call("HGET", CanvasKeys(canvas).links, link)
        if data is None:
            raise NotFound("There is no such link.", code="no_link")
        revoked = msgspec.structs.replace(_kept.decode(data), revoked=True)
        await self.client.call("HSET", CanvasKeys(canvas).links, link, msgspec.msgpack.encode(revoked))

    async def list_links(self, canvas: str) -> list[Link]:
        """All links, oldest first."""
        found = await self.client.call("HGETALL", CanvasKeys(canvas).links)
        links = []
        for link, data in found.items():
            kept = _kept.decode(data)
            links.append(Link(id=link.decode(), role=kept.role, created_ms=kept.created_ms, revoked=kept.revoked))
        return sorted(links, key=lambda link: (link.created_ms, ROLES.index(link.role)))

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

    async def _digest(self, canvas: str, secret: str) -> str:
        pepper = await self.secret()
        return hashlib.blake2b(f"{canvas}:{secret}".encode(), key=pepper, digest_size=16).hexdigest()


def _plain_digest(ticket: str) -> str:
    return hashlib.sha256(ticket.encode()).hexdigest()
