"""uvicorn, set up for our sockets: what it listens on, how it speaks, how it drains."""

import socket

import anyio
import uvicorn
from starlette.applications import Starlette
from uvicorn.config import Config

from nanobana.protocol import messages as m
from nanobana_server.room.rooms import Rooms
from nanobana_server.room.transport import DirectProtocol, bound_unsent

KEEP_ALIVE_S = 30
PING_EVERY_S = 15.0
PONG_WITHIN_S = 20.0


class DrainingServer(uvicorn.Server):
    """Sends members away with CLOSE_DRAINING, and lets their last ops land, before connections are cut."""

    def __init__(self, config: Config, app: Starlette, drain: float) -> None:
        super().__init__(config)
        self._app = app
        self._drain = drain

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()
        rooms: Rooms | None = getattr(self._app.state, "rooms", None)
        if rooms is not None:
            with anyio.move_on_after(self._drain):
                await rooms.drain()
        await super().shutdown(sockets)


def config_of(app: Starlette) -> Config:
    """uvicorn's settings for an app of ours (design §8, R10)."""
    return Config(
        app,
        ws=DirectProtocol,
        ws_max_size=m.MAX_FRAME,
        ws_per_message_deflate=False,
        ws_ping_interval=PING_EVERY_S,
        ws_ping_timeout=PONG_WITHIN_S,
        loop="uvloop",
        access_log=False,
        log_config=None,
        server_header=False,
        lifespan="on",
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=5,
    )


def listen(host: str, port: int) -> socket.socket:
    """A listening socket whose connections hold little unsent data.

    Raises:
        OSError: the port is taken or the address is not ours.
    """
    family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound_unsent(listener)
        listener.bind(address)
        listener.listen(512)
    except OSError:
        listener.close()
        raise
    listener.setblocking(False)
    return listener
