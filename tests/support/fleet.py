"""A whole installation in processes that can be killed and come back: one store, servers, engines."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from anyio import to_thread

from support.engine_process import EngineProcess
from support.server_process import ServerProcess
from support.valkey import PrivateValkey, private_valkey

STEP_S = 0.03
"""Of the engines' model: long enough for edits to be under way when something dies."""


class Fleet:
    """Kills are SIGKILL; whatever was killed is started again at once, as a supervisor would."""

    def __init__(self, valkey: PrivateValkey, servers: list[ServerProcess], engines: int, folder: Path) -> None:
        self.valkey = valkey
        self.servers = servers
        self._folder = folder
        self._count = 0
        self.engines = [self._engine() for _ in range(engines)]

    def _engine(self) -> EngineProcess:
        self._count += 1
        return EngineProcess(self.valkey.url, self._folder / f"engine-{self._count}.log", step_s=STEP_S)

    async def kill_store(self) -> None:
        """On its AOF again; from the thread that started it, for the kernel ends it with that thread."""
        self.valkey.kill()
        self.valkey.start()

    async def kill_server(self, which: int) -> None:
        server = self.servers[which]
        await to_thread.run_sync(server.kill)
        await to_thread.run_sync(server.start)

    async def kill_engine(self, which: int) -> None:
        """Does not wait for the new one to be ready: another takes over meanwhile (E8)."""
        await to_thread.run_sync(self.engines[which].kill)
        self.engines[which] = self._engine()

    def end_engines(self) -> None:
        for engine in self.engines:
            if engine.process.poll() is None:
                engine.kill()


@contextmanager
def running_fleet(servers: int = 2, engines: int = 2) -> Iterator[Fleet]:
    """Everything ready, on a folder of its own, gone at the end."""
    with tempfile.TemporaryDirectory(prefix="nb-fleet-") as name, ExitStack() as stack:
        folder = Path(name)
        valkey = stack.enter_context(private_valkey(tcp=True))
        started = []
        for n in range(servers):
            server = ServerProcess(valkey.url, folder / f"server-{n}.log")
            stack.callback(server.kill)
            server.start()
            started.append(server)
        fleet = Fleet(valkey, started, engines, folder)
        stack.callback(fleet.end_engines)
        for engine in fleet.engines:
            engine.wait_ready()
        yield fleet
