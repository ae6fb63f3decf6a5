"""Hearing of a canvas and telling others: the bell after each commit, and volatile messages (R3, R9)."""

from collections.abc import AsyncGenerator
from typing import Any

import anyio

from nanobana.keyspace.keys import CanvasKeys
from nanobana.protocol.errors import Unavailable
from nanobana_server.store.base import Base
from nanobana_server.store.types import Bell, Heard, Reconnected, Volatile

SENDER_BYTES = 16
"""A volatile payload starts with the sender's ID, padded with spaces."""

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.05, 2.0
"""Back-off of a subscription that lost its connection."""


class Bells(Base):
    """The part of the store that carries messages; nothing here is kept."""

    ping_s = 10.0
    """Silence after which a subscription asks whether anybody is there; twice as long, and it is made anew."""

    async def subscribe(self, canvas: str) -> AsyncGenerator[Heard]:
        """What happens on a canvas, for ever; close the iterator to stop.

        The first item is Reconnected, once the subscription stands: from there on nothing is missed while the
        connection lasts. After a loss it subscribes again with back-off and yields Reconnected again; the reader
        then checks its position (C4) and reads the tail, because pub/sub is only a bell (R9).
        """
        keys = CanvasKeys(canvas)
        bell = keys.bell.encode()
        pause = FIRST_PAUSE_S
        while True:
            try:
                async with self.client.sharded_channels(keys.bell, keys.volatile) as pubsub:
                    confirmed = 0
                    async for message in self._messages(pubsub):
                        kind = message["type"]
                        if kind == "ssubscribe":
                            confirmed += 1
                            if confirmed % 2 == 0:
                                pause = FIRST_PAUSE_S
                                yield Reconnected()
                        elif kind == "sunsubscribe":  # the slot moved away
                            break
                        elif kind == "smessage" and message["channel"] == bell:
                            yield Bell(int(message["data"]))
                        elif kind == "smessage":
                            yield _volatile(message["data"])
            except Unavailable:
                pass
            await anyio.sleep(pause)
            pause = min(LONGEST_PAUSE_S, pause * 2)

    async def _messages(self, pubsub: Any) -> AsyncGenerator[Any]:
        """What comes in; ends when a ping finds nobody on the other side."""
        pinged = False
        while True:
            message = await pubsub.get_message(timeout=self.ping_s)
            if message is not None:
                pinged = False
                yield message
            elif pinged:
                return
            else:
                await pubsub.ping()
                pinged = True

    async def publish(self, canvas: str, sender: str, message: bytes) -> int:
        """Send an encoded message to everybody who listens to the canvas now (R3).

        Args:
            sender: this process's ID, 16 ASCII characters at most, so that it can skip its own.

        Returns:
            How many listen.
        """
        heard = await self.client.call("SPUBLISH", CanvasKeys(canvas).volatile, volatile_payload(sender, message))
        return int(heard)


def volatile_payload(sender: str, message: bytes) -> bytes:
    """The payload of a volatile channel: sender, then the message."""
    return sender.encode("ascii").ljust(SENDER_BYTES)[:SENDER_BYTES] + message


def _volatile(payload: bytes) -> Volatile:
    return Volatile(payload[:SENDER_BYTES].rstrip().decode("ascii", "replace"), payload[SENDER_BYTES:])
