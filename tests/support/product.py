"""The whole product for a test: `nanobana serve` on its own data folder, stopped by Ctrl-C or killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from nanobana_server.allinone import ready
from support.valkey import free_port

ROOT = Path(__file__).resolve().parents[2]
PYTHONPATH = os.pathsep.join(str(ROOT / part) for part in ("client/python", "server", "engine"))
READY_S = 90.0
STOPS_S = 90.0
"""Three parts drain one after the other; on a busy machine that has taken 15 s."""


@dataclass
class Product:
    """One `nanobana serve`; start it again on the same folder to see what it kept."""

    data: Path
    port: int = field(default_factory=free_port)
    settings: dict[str, str] = field(default_factory=dict)
    """Further variables of its environment."""
    process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> Path:
        return self.data.parent / f"{self.data.name}.log"

    def start(self) -> Product:
        """Start and wait until page and engine are ready.

        Raises:
            RuntimeError: it ended or was not ready in time; what it printed is in the message.
        """
        environment = {**os.environ, "PYTHONPATH": PYTHONPATH, "PORT": str(self.port), "NANOBANA_DATA": str(self.data)}
        environment |= self.settings
        environment.pop("NANOBANA_REDIS_URL", None)
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "nanobana.cli", "serve"],
                env=environment,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        deadline = time.monotonic() + READY_S
        while not self._ready():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"nanobana serve is not ready:\n{self.log.read_text('utf-8', 'replace')[-3000:]}")
            time.sleep(0.05)
        return self

    def stop(self) -> int:
        """Ctrl-C, and the exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(timeout=STOPS_S)

    def part(self, words: str) -> psutil.Process:
        """The running child whose command line holds these words."""
        assert self.process is not None
        for child in psutil.Process(self.process.pid).children(recursive=True):
            with suppress(psutil.NoSuchProcess):  # it ended while we looked
                if words in " ".join(child.cmdline()):
                    return child
        raise AssertionError(f"no part with {words!r}")

    @contextmanager
    def still(self, words: str) -> Iterator[None]:
        """A part does nothing meanwhile: what it would end stays as it is until somebody has looked."""
        part = self.part(words)
        part.suspend()
        try:
            yield
        finally:
            part.resume()

    def end(self) -> None:
        """Stop it whatever its state; its parts go with it."""
        if self.process is not None and self.process.poll() is None:
            try:
                self.stop()
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(timeout=STOPS_S)

    def _ready(self) -> bool:
        state = ready.ask(self.origin)
        return state is not None and state.ready and state.engines >= 1


@contextmanager
def running_product(folder: Path, **settings: str) -> Iterator[Product]:
    """A ready product on `folder`, ended at the end."""
    product = Product(folder, settings=settings)
    try:
        yield product.start()
    finally:
        product.end()
