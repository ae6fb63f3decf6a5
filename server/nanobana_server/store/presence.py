"""Who is on a canvas, over all servers; a member that its server stopped refreshing is forgotten."""

from collections.abc import Sequence

import msgspec

from nanobana.keyspace.client import Word
from nanobana.keyspace.keys import CanvasKeys
from nanobana.protocol.messages import Member
from nanobana_server.store.base import Base

MEMBER_TTL_MS = 15_000
"""A server refreshes its members three times in that; after a kill -9 they fade out."""

_member = msgspec.msgpack.Decoder(Member)


class Presence(Base):
    """The part of the store that knows the members."""

    async def put_member(self, canvas: str, member: Member) -> None:
        """Show a member."""
        await self._run(canvas, [member], lists=False)

    async def put_members(self, canvas: str, members: Sequence[Member]) -> list[Member]:
        """Refresh this server's members (every 5 s); everybody who is there, as `members`."""
        return await self._run(canvas, members, lists=True)

    async def drop_member(self, canvas: str, member: str) -> None:
        await self.client.call("HDEL", CanvasKeys(canvas).members, member)

    async def members(self, canvas: str) -> list[Member]:
        """Everybody who is there by the store's clock, in order of their IDs."""
        return await self._run(canvas, [], lists=True)

    async def _run(self, canvas: str, members: Sequence[Member], *, lists: bool) -> list[Member]:
        keys = CanvasKeys(canvas)
        words: list[Word] = [word for member in members for word in (member.id, msgspec.msgpack.encode(member))]
        args = [MEMBER_TTL_MS, "1" if lists else "", *words]
        found = await self.client.run("presence", [keys.members, keys.meta], args)
        return sorted((_member.decode(data) for data in found), key=lambda member: member.id)
