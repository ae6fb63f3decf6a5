"""A private Valkey for one test or one module: own folder, unix socket and port, gone with the test process."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from nanobana_server.allinone import store, tether

START_TIMEOUT_S = 30.0
PORTS_FROM = 12_000
OUTGOING, USUALLY_FROM = Path("/proc/sys/net/ipv4/ip_local_port_range"), 32_768


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody listens on at this moment.

    Never one that the kernel gives to outgoing connections: those would have it while who listens there is dead, and
    who tries to reach the dead one may even be connected to itself.
    """
    first = int(OUTGOING.read_text().split()[0]) if OUTGOING.exists() else 0
    for _ in range(1000):
        port = random.SystemRandom().randrange(PORTS_FROM, first if first > 2 * PORTS_FROM else USUALLY_FROM)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise RuntimeError("no port is free")


def redis_server() -> Path | None:
    """Debian's redis-server, None where it is not installed: skip by name then (marker `redis7`)."""
    found = shutil.which("redis-server")
    return Path(found) if found else None


@dataclass
class PrivateValkey:
    """One Valkey on a folder; can be killed and started again on the same folder.

    `url` reaches it by its unix socket, `tcp_url` by its port (0: no port was asked for). `server` is another
    executable than the embedded Valkey's, `options` are further words of its command line.
    Start it from the main thread: the kernel ends it with the thread that started it.
    """

    folder: Path
    port: int = 0
    fsync: str = "always"
    server: Path | None = None
    options: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    @property
    def socket(self) -> Path:
        return store.socket_path(self.folder)

    @property
    def url(self) -> str:
        return f"unix://{self.socket}"

    @property
    def tcp_url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def pid(self) -> int:
        """The running server's process ID."""
        assert self.process is not None, "start() first"
        return self.process.pid

    def start(self) -> None:
        """Start the server and wait until it answers.

        Raises:
            RuntimeError: it ended, or did not answer in time; its log is in the message.
        """
        command = [*store.command(self.folder, self.socket, port=self.port, fsync=self.fsync), *self.options]
        if self.server:
            command[0] = str(self.server)
        log = self.folder / "valkey.log"
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                tether.tethered(command),
                stdout=output,
                stderr=output,
                start_new_session=True,
                env={**os.environ, **self.environment},
            )
        deadline = time.monotonic() + START_TIMEOUT_S
        while not store.answers(self.socket):
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the test's Valkey did not start:\n{log.read_text('utf-8', 'replace')[-2000:]}")
            time.sleep(0.005)

    def kill(self) -> None:
        """End the server by SIGKILL, as a crash would."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """End the server by SIGTERM; it writes what it has."""
        self._end(signal.SIGTERM)

    def _end(self, how: signal.Signals) -> None:
        if self.process is not None and self.process.poll() is None:
            os.kill(self.process.pid, how)
            self.process.wait(timeout=10)
        self.process = None


@contextmanager
def private_valkey(
    folder: Path | None = None, *, tcp: bool = False, fsync: str = "always", server: Path | None = None
) -> Iterator[PrivateValkey]:
    """A running Valkey, killed at the end.

    Args:
        folder: its data folder; None for a temporary one, removed at the end.
        tcp: listen on a port of 127.0.0.1 as well.
        fsync: "no" is quicker, for tests that kill nothing.
        server: another executable, e.g. `redis_server()`.
    """
    own = None if folder else Path(tempfile.mkdtemp(prefix="nb-valkey-"))
    valkey = PrivateValkey(folder or own or Path(), port=free_port() if tcp else 0, fsync=fsync, server=server)
    try:
        valkey.start()
        yield valkey
    finally:
        valkey.kill()
        if own:
            shutil.rmtree(own, ignore_errors=True)
