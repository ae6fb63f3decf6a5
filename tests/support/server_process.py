"""A server in a process of its own, which can be killed and started again on the same port."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import psutil

from nanobana_server.allinone import ready
from support.valkey import free_port

ROOT = Path(__file__).resolve().parents[2]
PYTHONPATH = os.pathsep.join(str(ROOT / part) for part in ("client/python", "server", "engine"))
READY_S = 20.0


class ServerProcess:
    """One `nanobana server`."""

    def __init__(self, redis_url: str, log: Path, settings: Mapping[str, str] | None = None) -> None:
        self.redis_url = redis_url
        self.settings = settings or {}
        """Further variables of its environment."""
        self.log = log
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it and wait until it is ready; raises RuntimeError with its log."""
        process = self._launch()
        deadline = time.monotonic() + READY_S
        while not self._is_ready():
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the server did not start:\n{self.log.read_text('utf-8', 'replace')[-3000:]}")
            time.sleep(0.02)

    def run_to_its_end(self) -> int:
        """For a server that cannot run: its exit code."""
        return self._launch().wait(timeout=READY_S)

    def _launch(self) -> subprocess.Popen[bytes]:
        environment = {
            **os.environ,
            "PYTHONPATH": PYTHONPATH,
            "PORT": str(self.port),
            "NANOBANA_REDIS_URL": self.redis_url,
            **self.settings,
        }
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "nanobana.cli", "server"], env=environment, stdout=output, stderr=output
            )
        return self.process

    def kill(self) -> None:
        """As a crash would."""
        self._end(signal.SIGKILL)

    def terminate(self) -> int:
        """As an operator would; the exit code."""
        return self._end(signal.SIGTERM)

    @property
    def memory_bytes(self) -> int:
        """Resident memory now."""
        assert self.process is not None
        return int(psutil.Process(self.process.pid).memory_info().rss)

    def _end(self, how: signal.Signals) -> int:
        if self.process is None:
            return 0
        if self.process.poll() is None:
            os.kill(self.process.pid, how)
        return self.process.wait(timeout=15)

    def _is_ready(self) -> bool:
        state = ready.ask(self.origin, timeout=1)
        return state is not None and state.ready


@contextmanager
def server_process(redis_url: str, folder: Path) -> Iterator[ServerProcess]:
    """A running server, killed at the end."""
    server = ServerProcess(redis_url, folder / "server.log")
    try:
        server.start()
        yield server
    finally:
        server.kill()
