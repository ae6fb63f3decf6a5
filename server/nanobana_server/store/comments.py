"""The threads of comments of a canvas, as they are now."""

import msgspec

from nanobana.keyspace.keys import CanvasKeys
from nanobana.protocol.canvas import Thread
from nanobana_server.store.base import Base

_thread = msgspec.msgpack.Decoder(Thread)


class Comments(Base):
    """The part of the store that reads comments; ops write them."""

    async def threads(self, canvas: str) -> list[Thread]:
        """Every thread that has comments, the oldest first."""
        found = await self.client.call("HVALS", CanvasKeys(canvas).comments)
        return sorted((_thread.decode(data) for data in found), key=lambda thread: thread.comments[0].time_ms)
