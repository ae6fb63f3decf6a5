"""Who is on a canvas, over all servers; a member that its server stopped refreshing is forgotten."""

import msgspec

from nanobana.keyspace.keys import CanvasKeys
from nanobana.protocol.messages import Member
from nanobana_server.store.base import Base

MEMBER_TTL_MS = 15_000
"""A server refreshes its members three times in that; after a kill -9 they fade out."""

_member = msgspec.msgpack.Decoder(Member)


class Presence(Base):
    """The part of the store that knows the members."""

    async def put_member(self, canvas: str, member: Member) -> None:
        """Show a member, or refresh it (every 5 s)."""
        keys = CanvasKeys(canvas)
        await self.client.run(
            "presence", [keys.members, keys.meta], [member.id, msgspec.msgpack.encode(member), MEMBER_TTL_MS]
        )

    async def drop_member(self, canvas: str, member: str) -> None:
        await self.client.call("HDEL", CanvasKeys(canvas).members, member)

    async def members(self, canvas: str) -> list[Member]:
        """Everybody who is there by the store's clock, in order of their IDs."""
        keys = CanvasKeys(canvas)
        found = await self.client.run("presence", [keys.members, keys.meta], ["", "", MEMBER_TTL_MS])
        return sorted((_member.decode(data) for data in found), key=lambda member: member.id)
