"""The ASGI app: what belongs to one server process, wired together for as long as it runs."""

import secrets
import signal
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio.to_thread
import structlog
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.websockets import WebSocket

from nanobana.keyspace.keys import FamilyKeys
from nanobana.keyspace.scripts import NAMES, script
from nanobana.logs import configure
from nanobana.protocol.errors import NanobanaError, Unavailable
from nanobana_server import jobs
from nanobana_server.api.blobs import Blobs
from nanobana_server.api.canvases import Canvases
from nanobana_server.api.deletion import Deletion
from nanobana_server.api.edge import Guard, on_bug, on_http_error, on_nanobana_error
from nanobana_server.api.edits import Edits
from nanobana_server.api.files import Files
from nanobana_server.api.gate import Gate
from nanobana_server.api.health import Health
from nanobana_server.api.pages import Pages
from nanobana_server.api.past import Past
from nanobana_server.api.pictures import Pictures
from nanobana_server.api.routes import Handlers, routes
from nanobana_server.api.serving import DrainingServer, config_of, listen
from nanobana_server.api.sharing import Sharing
from nanobana_server.metrics import Metrics
from nanobana_server.policy.budgets import Budgets
from nanobana_server.policy.standing import StandingWatch
from nanobana_server.policy.tokens import Signer
from nanobana_server.room.door import Door
from nanobana_server.room.engines import EngineWatch
from nanobana_server.room.limits import Allowance
from nanobana_server.room.pace import Pace
from nanobana_server.room.rooms import Rooms
from nanobana_server.room.transport import SocketWire
from nanobana_server.settings import Settings
from nanobana_server.store import Store, open_store
from nanobana_server.store.cellar import Cellar

if TYPE_CHECKING:
    from nanobana.spans import Spans

__all__ = ["create_app", "run"]

STORE_PATIENCE_S = 30.0
"""A server that is started together with its store waits this long for it."""

RESTART_S = 1.0

PORT_TAKEN_EXIT = 75
NOT_INSTALLED_EXIT = 69
NO_CELLAR_EXIT = 78

_log = structlog.get_logger("nanobana.server")


def create_app(settings: Settings, *, pace: Pace | None = None, allowance: Allowance | None = None) -> Starlette:
    """The server as an ASGI app; it must be run by `api.serving`, whose sockets can be written directly.

    Args:
        pace, allowance: other than the usual ones, e.g. for tests.
    """

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[Mapping[str, Any]]:
        store = await _open(settings)
        try:
            async with anyio.create_task_group() as tasks:
                rooms = await _assemble(app, store, settings, pace or Pace(), allowance or Allowance(), tasks)
                yield {"rooms": rooms}
                tasks.cancel_scope.cancel()
        finally:
            with anyio.move_on_after(2, shield=True):
                await store.aclose()

    return Starlette(
        lifespan=lifespan,
        middleware=[Middleware(Guard, allowed_origins=settings.allowed_origins)],
        exception_handlers={NanobanaError: on_nanobana_error, HTTPException: on_http_error, Exception: on_bug},
    )


async def _open(settings: Settings) -> Store:
    await anyio.to_thread.run_sync(lambda: [script(name) for name in NAMES])  # files are not read on the event loop
    cellar = await anyio.to_thread.run_sync(Cellar, settings.cellar) if settings.cellar else None
    deadline = time.monotonic() + STORE_PATIENCE_S
    while True:
        try:
            return await open_store(settings.redis_url, cellar=cellar)
        except Unavailable:
            if time.monotonic() > deadline:
                raise
            _log.warning("waiting for the store")
            await anyio.sleep(0.25)


async def _assemble(
    app: Starlette,
    store: Store,
    settings: Settings,
    pace: Pace,
    allowance: Allowance,
    tasks: anyio.abc.TaskGroup,
) -> Rooms:
    """Build every part, start the tasks that live as long as the server, and put the routes in place."""
    server = "s" + secrets.token_hex(5)
    clock = time.monotonic
    metrics = Metrics()
    standing = StandingWatch(store, server, clock)
    budgets = Budgets(store, settings, clock, lambda what: metrics.over_budget.labels(what).inc())
    signer = Signer(await store.secret(), time.time)
    rooms = Rooms(store, server, pace, metrics, standing, clock)
    door = Door(
        rooms, store, standing, budgets, metrics, allowance, clock,
        seats=settings.room_members, watchers=settings.room_watchers,
    )  # fmt: skip

    async def accept(websocket: WebSocket) -> None:
        await websocket.accept()
        await door.serve(SocketWire(websocket), websocket.path_params["canvas"])

    canvases = Canvases(store, signer, standing, settings, budgets)
    handlers = Handlers(
        pages=Pages(settings.static),
        health=Health(store, rooms, metrics),
        canvases=canvases,
        blobs=Blobs(store, settings, budgets),
        pictures=Pictures(store, settings, metrics, budgets),
        files=Files(store, settings, canvases, budgets),
        edits=Edits(store),
        sharing=Sharing(store, standing),
        past=Past(store),
        deletion=Deletion(store, signer, standing, settings, budgets),
        socket=accept,
    )
    await tasks.start(rooms.run)
    tasks.start_soon(_forever, "results", partial(jobs.run_results, store, server, staged=metrics.note_edit))
    tasks.start_soon(_forever, "sweeper", partial(jobs.run_sweeper, store))
    tasks.start_soon(_forever, "upkeep", partial(jobs.run_upkeep, store, settings.sleep_after_ms))
    tasks.start_soon(_forever, "engines", EngineWatch(store, rooms, metrics, FamilyKeys()).run)
    app.state.rooms = rooms
    app.router.routes[:] = routes(handlers, Gate(signer, standing))
    _log.info("server ready", server=server)
    return rooms


async def _forever(name: str, task: Callable[[], Awaitable[None]]) -> None:
    """Keep a background task going: what breaks is logged, and it begins again."""
    while True:
        try:
            await task()
        except Exception:  # noqa: BLE001 - logged whole, and tried again
            _log.exception("background task failed", task=name)
        await anyio.sleep(RESTART_S)


def _spans(url: str | None) -> "Spans | None":
    """OpenTelemetry where a collector is named; ends the process with a sentence where it is not installed."""
    if url is None:
        return None
    try:
        from nanobana.spans import open_spans

        return open_spans("server", url)
    except ModuleNotFoundError as error:
        sys.stderr.write(f"NANOBANA_OTLP needs OpenTelemetry (no {error.name}): pip install 'nanobana[otel]'\n")
        sys.exit(NOT_INSTALLED_EXIT)


def _prove_cellar(url: str | None) -> None:
    """Ends the process with a sentence where history cannot be kept; one that is only away now is waited for."""
    if url is None:
        return
    try:
        Cellar(url).prove()
    except ValueError as error:
        sys.stderr.write(f"NANOBANA_CELLAR: {error}\n")
        sys.exit(NO_CELLAR_EXIT)
    except Unavailable as error:
        _log.warning("the cellar is away", reason=str(error))


def run(settings: Settings | None = None) -> None:
    """Run one server until SIGTERM or SIGINT, then drain; ends the process with a code where it cannot."""
    settings = settings or Settings()
    spans = _spans(settings.otlp)
    configure("server", settings.log_level, as_json=settings.log_json, told=spans)
    _prove_cellar(settings.cellar)
    try:
        listener = listen(settings.host, settings.port)
    except OSError as error:
        sys.stderr.write(f"nanobana cannot listen on {settings.host}:{settings.port}: {error.strerror}\n")
        sys.exit(PORT_TAKEN_EXIT)
    # uvicorn raises the signal again when it has drained: having stopped as asked is no failure.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    app = create_app(settings)
    server = DrainingServer(config_of(app), app, settings.drain)
    host, port = listener.getsockname()[:2]
    _log.info("listening", host=host, port=port)
    server.run(sockets=[listener])
    if spans is not None:
        spans.close()
    if not server.started:
        sys.exit(1)
