"""A real server in the test's own event loop: real uvicorn, real sockets, a real store."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import anyio
import httpx2 as httpx
from starlette.applications import Starlette

from nanobana.protocol.canvas import Role
from nanobana.sdk.link import Link
from nanobana_server.api.serving import DrainingServer, config_of, listen
from nanobana_server.app import create_app
from nanobana_server.room.limits import Allowance
from nanobana_server.room.pace import Pace
from nanobana_server.room.rooms import Rooms
from nanobana_server.settings import Settings

FREE = Allowance(ops=(1e6, 1e6), refused=(1e6, 1e6), bytes=(1e9, 1e9), volatile=(1e6, 1e6), bad=(1e6, 1e6))
"""For people who are faster than people: none of them waits for a budget."""


STOPS_S = 10.0


@dataclass(frozen=True)
class Links:
    """The links of one canvas."""

    owner: Link
    edit: Link
    view: Link
    comment: Link

    @property
    def by_role(self) -> dict[Role, Link]:
        return {"viewer": self.view, "commenter": self.comment, "editor": self.edit, "owner": self.owner}


class LiveServer:
    """A server that listens."""

    def __init__(self, app: Starlette, server: DrainingServer, port: int) -> None:
        self.app = app
        self.server = server
        self.origin = f"http://127.0.0.1:{port}"

    @property
    def rooms(self) -> Rooms:
        rooms = self.app.state.rooms
        assert isinstance(rooms, Rooms)
        return rooms

    def http(self, **options: object) -> httpx.AsyncClient:
        return httpx.AsyncClient(base_url=self.origin, timeout=15.0, verify=False, **options)  # type: ignore[arg-type]

    async def new_canvas(self, width: int | None = 512, height: int | None = 512) -> Links:
        size = {} if width is None else {"width": width, "height": height}
        # what is refused for the moment goes again, as a page does it
        async with self.http() as http:
            with anyio.fail_after(15):
                while (answer := await http.post("/api/canvases", json=size)).status_code == 503:  # noqa: ASYNC110 - there is no event
                    await anyio.sleep(answer.json()["retry_ms"] / 1000)
        assert answer.status_code == 201, answer.text
        made = answer.json()
        return Links(
            *(Link(self.origin, made["canvas"], made["links"][role]) for role in ("owner", "edit", "view", "comment"))
        )

    def stop(self) -> None:
        """As SIGTERM would."""
        self.server.should_exit = True


@asynccontextmanager
async def live_server(
    redis_url: str, *, pace: Pace | None = None, allowance: Allowance | None = None, **settings: object
) -> AsyncIterator[LiveServer]:
    """A server on a free port, stopped at the end."""
    settings = {"new_canvases_per_minute": 100_000, "tickets_per_minute": 100_000, **settings}
    told = Settings(redis_url=redis_url, port=0, drain=1.0, **settings)  # type: ignore[arg-type]
    app = create_app(told, pace=pace, allowance=allowance)
    listener = listen("127.0.0.1", 0)
    server = DrainingServer(config_of(app), app, told.drain)
    stopped = anyio.Event()

    async def serve() -> None:
        await server._serve([listener])
        stopped.set()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(serve)
        with anyio.fail_after(10):
            while not server.started:  # noqa: ASYNC110 - uvicorn offers no event
                await anyio.sleep(0.01)
        live = LiveServer(app, server, int(listener.getsockname()[1]))
        try:
            yield live
        finally:
            live.stop()
            with anyio.move_on_after(
                STOPS_S, shield=True
            ):  # a failed test must not cancel it midway: it would never end
                await stopped.wait()
