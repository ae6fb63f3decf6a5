"""`nanobana serve`: brings store, server and engine up in order, says when they are ready, takes them down in order."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack

import anyio
from anyio import to_thread

from nanobana.keyspace.keys import FamilyKeys
from nanobana_server.allinone import lock, ready, store
from nanobana_server.allinone.console import Console
from nanobana_server.allinone.errors import ServeError
from nanobana_server.allinone.part import Keeper, Part
from nanobana_server.allinone.settings import ServeSettings, check_port

ENGINE_NICE = 5
"""The engine yields to the server: a step may take longer, a stroke of somebody else's must not."""
STILL_S = 15.0
"""How often a part that is not ready yet is mentioned."""
PARTS_RUN_AS = [sys.executable, "-m", "nanobana.cli"]


def serve(
    settings: ServeSettings,
    console: Console | None = None,
    *,
    server: Sequence[str] = (*PARTS_RUN_AS, "server"),
    engine: Sequence[str] = (*PARTS_RUN_AS, "engine"),
) -> None:
    """Run everything until SIGINT, SIGTERM or SIGHUP.

    Args:
        settings: what to run where.
        console: where progress is told.
        server: the server's command line.
        engine: the engine's command line.

    Raises:
        ServeError: the run cannot start, or a part never became ready; everything is stopped by then.
    """
    console = console or Console()
    check_port(settings.host, settings.port)
    with ExitStack() as stack:
        descriptor = stack.enter_context(lock.hold(settings.data, settings.address))
        run = _Run(settings, console, descriptor, list(server), list(engine))
        try:
            anyio.run(run.main)
        except BaseExceptionGroup as group:
            failure = group.subgroup(ServeError)
            if failure is None:
                raise
            raise _first(failure) from None


def _first(group: BaseExceptionGroup[ServeError]) -> ServeError:
    inner: BaseException = group
    while isinstance(inner, BaseExceptionGroup):
        inner = inner.exceptions[0]
    assert isinstance(inner, ServeError)
    return inner


class _Run:
    """One run; its keepers in the order in which they are stopped: server, engine, store."""

    def __init__(
        self, settings: ServeSettings, console: Console, lock_fd: int, server: list[str], engine: list[str]
    ) -> None:
        self._settings = settings
        self._console = console
        folder = settings.data / "valkey"
        self._socket = None if settings.redis_url else store.socket_path(folder)
        environment = settings.environment(os.environ, settings.redis_url or f"unix://{self._socket}")

        def keeper(
            name: str, command: list[str], grace_s: float, *, death_signal: int = signal.SIGKILL, nice: int = 0
        ) -> Keeper:
            log = None if settings.logs_to_terminal else settings.logs / f"{name}.log"
            fds = (lock_fd,) if name == "store" else ()
            part = Part(name, command, environment, log, grace_s, death_signal, nice, fds)
            return Keeper(part, console)

        self._server = keeper("server", server, 10)
        self._engine = keeper("engine", engine, 15, nice=ENGINE_NICE)
        self._store: Keeper | None = None
        if self._socket:
            # It may write its last when this process is killed; the lock it inherits keeps a successor waiting.
            command = store.command(folder, self._socket, budget_bytes=settings.store_bytes)
            self._store = keeper("store", command, 30, death_signal=signal.SIGTERM)

    @property
    def _keepers(self) -> list[Keeper]:
        return [keeper for keeper in (self._server, self._engine, self._store) if keeper]

    async def main(self) -> None:
        """Everything from the first process to the last one's end."""
        self._console.plain(f"data in {self._settings.data}")
        ending = anyio.Event()
        async with anyio.create_task_group() as outer:
            outer.start_soon(self._listen, ending)
            try:
                async with anyio.create_task_group() as keeping:
                    try:
                        async with anyio.create_task_group() as starting:
                            starting.start_soon(self._bring_up, keeping)
                            await ending.wait()
                            starting.cancel_scope.cancel()
                    finally:
                        with anyio.CancelScope(shield=True):
                            for keeper in self._keepers:
                                await keeper.stop()
            finally:
                outer.cancel_scope.cancel()
        self._console.plain("stopped")

    async def _listen(self, ending: anyio.Event) -> None:
        wanted = [signal.SIGINT, signal.SIGTERM]
        if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # nohup means that it is to go on
            wanted.append(signal.SIGHUP)
        with anyio.open_signal_receiver(*wanted) as signals:
            async for _ in signals:
                if ending.is_set():
                    self._console.plain("stopping at once")
                    for keeper in self._keepers:
                        keeper.kill()
                ending.set()

    async def _bring_up(self, keeping: anyio.abc.TaskGroup) -> None:
        if self._store and self._socket:
            self._console.part("store", "starting")
            keeping.start_soon(self._store.keep)
            while not await to_thread.run_sync(store.answers, self._socket):  # noqa: ASYNC110
                await anyio.sleep(0.01)
            self._store.ready()
            # No engine of this store runs yet: heartbeats left by a killed run must not pass for the new one's.
            family = FamilyKeys()
            await to_thread.run_sync(store.ask, self._socket, "DEL", family.engines, family.engine_ages)
        self._console.part("server", "starting")
        keeping.start_soon(self._server.keep)
        self._console.part("engine", f"starting with {self._settings.model or 'its default model'}")
        keeping.start_soon(self._engine.keep)
        await self._until("server", lambda state: state.store)
        self._server.ready()
        self._console.part("server", f"page at {self._settings.address}")
        await self._until("engine", lambda state: state.engines > 0)
        self._engine.ready()
        self._console.title(f"nanobana is ready: {self._settings.address}\n  Ctrl-C stops it.")

    async def _until(self, name: str, is_so: Callable[[ready.Readiness], bool]) -> None:
        mention = anyio.current_time() + STILL_S
        while True:
            state = await to_thread.run_sync(ready.ask, self._settings.address, abandon_on_cancel=True)
            if state and is_so(state):
                return
            if anyio.current_time() > mention:
                self._console.part(name, (state and state.loading) or "still starting")
                mention += STILL_S
            await anyio.sleep(ready.POLL_S)
