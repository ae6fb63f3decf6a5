"""Runs the all-in-one supervisor as its own process, with stand-ins for server and engine that only tell and wait.

As a script (``python -m support.allinone``) it is that process; imported, it is the handle the tests hold.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from support.valkey import free_port

ROOT = Path(__file__).resolve().parents[2]
PYTHONPATH = os.pathsep.join(str(ROOT / part) for part in ("client/python", "server", "engine", "tests"))
WAIT_S = 30.0

SERVER = """
import http.server, os, signal, sys
class Ready(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        engines = os.path.exists(os.environ["NANOBANA_DATA"] + "/engine-beats")
        body = b'{"ready": true, "store": true, "engines": %d}' % engines
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *words): pass
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
http.server.HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Ready).serve_forever()
"""
ENGINE = """
import os, signal, sys
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
if "NANOBANA_DATA" in os.environ: open(os.environ["NANOBANA_DATA"] + "/engine-beats", "w").close()
while True: signal.pause()
"""
BROKEN = "import sys\nsys.exit('no such model')\n"
DEAF = "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nwhile True: signal.pause()\n"


@dataclass
class AllInOne:
    """One supervisor process on a data folder."""

    data: Path
    port: int = field(default_factory=free_port)
    engine: str = ENGINE
    redis_url: str = ""
    lines: list[str] = field(default_factory=list, init=False)
    process: subprocess.Popen[str] = field(init=False)
    _reader: threading.Thread = field(init=False)

    def start(self) -> AllInOne:
        environment = {
            **os.environ,
            "PYTHONPATH": PYTHONPATH,
            "NANOBANA_DATA": str(self.data),
            "PORT": str(self.port),
            "STAND_IN_ENGINE": self.engine,
            "NANOBANA_REDIS_URL": self.redis_url,
        }
        self.process = subprocess.Popen(
            [sys.executable, "-m", "support.allinone"],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        return self

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.rstrip())

    def wait_for(self, text: str, times: int = 1) -> None:
        """Wait until the supervisor has printed `text` so often.

        Raises:
            AssertionError: it has not within `WAIT_S`; the message holds what it did print.
        """
        deadline = time.monotonic() + WAIT_S
        while sum(text in line for line in self.lines) < times:
            assert time.monotonic() < deadline, f"{text!r} was not printed {times} times:\n" + "\n".join(self.lines)
            time.sleep(0.01)

    def wait(self) -> int:
        """The supervisor's exit code, once it has ended and its last line is read."""
        code = self.process.wait(timeout=WAIT_S)
        self._reader.join(timeout=WAIT_S)
        return code

    def part(self, name: str) -> psutil.Process:
        """The running process of a part: store, server or engine."""
        for child in self.parts():
            words = " ".join(child.cmdline())
            if {"store": "valkey-server" in words, "server": "http.server" in words}.get(name, False):
                return child
            if name == "engine" and "signal.pause" in words:
                return child
        raise AssertionError(f"no {name} among {[child.cmdline()[:2] for child in self.parts()]}")

    def parts(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)

    def signal(self, what: signal.Signals) -> None:
        self.process.send_signal(what)

    def end(self) -> None:
        """Kill the supervisor, if it still runs; its parts go with it."""
        if self.process.poll() is None:
            self.process.kill()
        self.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()


def gone(processes: list[psutil.Process]) -> bool:
    """Whether all these processes end within `WAIT_S`."""
    _, alive = psutil.wait_procs(processes, timeout=WAIT_S)
    return not [process for process in alive if process.status() != psutil.STATUS_ZOMBIE]


def main() -> None:
    """The supervisor process itself."""
    from nanobana_server.allinone import errors, settings
    from nanobana_server.allinone.serve import serve

    try:
        serve(
            settings.read(os.environ),
            server=[sys.executable, "-c", SERVER],
            engine=[sys.executable, "-c", os.environ["STAND_IN_ENGINE"]],
        )
    except errors.ServeError as error:
        print(error, flush=True)
        raise SystemExit(error.exit_code) from None


if __name__ == "__main__":
    main()
