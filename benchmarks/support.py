"""What every benchmark shares: the product started on a private folder, the hardware's name, and the last line."""

import contextlib
import json
import os
import platform
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any


def hardware() -> dict[str, Any]:
    """The machine, as printed beside each figure."""
    model = platform.processor() or platform.machine()
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    return {"cpu": model, "cores": os.cpu_count(), "python": platform.python_version(), "load_1m": os.getloadavg()[0]}


def report(**figures: Any) -> None:
    """One JSON object on the last line."""
    print(json.dumps({**figures, "hardware": hardware()}))


def median(values: Sequence[float]) -> float:
    ordered = sorted(values)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def product(*, wait_s: float = 120.0) -> Iterator[str]:
    """`nanobana serve` on a fresh data folder; yields its origin once page and engine are ready."""
    with tempfile.TemporaryDirectory(prefix="nb-bench-") as folder:
        port = free_port()
        environment = {**os.environ, "PORT": str(port), "NANOBANA_DATA": folder}
        log = Path(folder, "serve.log").open("wb")
        process = subprocess.Popen(
            [sys.executable, "-m", "nanobana.cli", "serve"], env=environment, stdout=log, stderr=subprocess.STDOUT
        )
        try:
            origin = f"http://127.0.0.1:{port}"
            _until_ready(origin, process, Path(folder, "serve.log"), wait_s)
            yield origin
        finally:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
            log.close()


def _until_ready(origin: str, process: "subprocess.Popen[bytes]", log: Path, wait_s: float) -> None:
    deadline = time.monotonic() + wait_s
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"nanobana serve ended with {process.returncode}:\n{log.read_text()[-2000:]}")
        with contextlib.suppress(urllib.error.URLError, OSError, ValueError):
            with urllib.request.urlopen(f"{origin}/readyz", timeout=2) as answer:
                state = json.load(answer)
                if state.get("ready") and state.get("engines", 0) >= 1:
                    return
        time.sleep(0.05)
    raise RuntimeError(f"not ready after {wait_s} s:\n{log.read_text()[-2000:]}")
