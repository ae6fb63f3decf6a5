"""Everybody who ever came to a canvas, for lists and for history: an op names its author by ID only."""

import contextlib
from collections.abc import Iterable

import msgspec

from nanobana.keyspace.keys import CanvasKeys
from nanobana.protocol.canvas import Person
from nanobana.protocol.errors import StorageFull
from nanobana_server.store.base import Base

_person = msgspec.msgpack.Decoder(Person)


class People(Base):
    """The part of the store that remembers people."""

    async def remember_person(self, canvas: str, person: Person) -> None:
        """Keep a person's name and colour as they are now; in a full store the old ones stay."""
        with contextlib.suppress(StorageFull):
            await self.client.call("HSET", CanvasKeys(canvas).people, person.user, msgspec.msgpack.encode(person))

    async def people(self, canvas: str, users: Iterable[str]) -> dict[str, Person]:
        """Those of these users who are known here: user → person."""
        wanted = sorted(set(users))
        if not wanted:
            return {}
        found = await self.client.call("HMGET", CanvasKeys(canvas).people, *wanted)
        return {user: _person.decode(data) for user, data in zip(wanted, found, strict=True) if data is not None}
