"""A real engine worker in a process of its own, on a test's model."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PYTHONPATH = os.pathsep.join(str(ROOT / part) for part in ("client/python", "server", "engine", "tests"))
READY = "ready with"


class EngineProcess:
    """One worker; its log is kept in a file."""

    def __init__(self, url: str, log: Path, *, step_s: float = 0.0) -> None:
        self.log = log
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "support.engine_process", url, str(step_s)],
                env={
                    **os.environ,
                    "PYTHONPATH": PYTHONPATH,
                    "OMP_NUM_THREADS": "1",
                    "NANOBANA_PARENT": str(os.getpid()),
                },
                stdout=output,
                stderr=output,
            )

    def wait_ready(self, timeout: float = 30.0) -> None:
        """Until its model is warm.

        Raises:
            RuntimeError: it ended or took too long; its log is in the message.
        """
        deadline = time.monotonic() + timeout
        while READY not in self.text():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the engine is not ready:\n{self.text()[-3000:]}")
            time.sleep(0.02)

    def text(self) -> str:
        return self.log.read_text("utf-8", "replace")

    def kill(self) -> None:
        """SIGKILL, as a crash would."""
        self.process.kill()
        self.process.wait(timeout=5)

    def stop(self, timeout: float = 20.0) -> int:
        """SIGTERM, and its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=timeout)


@contextmanager
def running_engine(url: str, log: Path, *, step_s: float = 0.0) -> Iterator[EngineProcess]:
    """A ready engine, killed at the end."""
    engine = EngineProcess(url, log, step_s=step_s)
    try:
        engine.wait_ready()
        yield engine
    finally:
        if engine.process.poll() is None:
            engine.kill()


def main() -> None:
    from nanobana_engine.models.base import Conditioning, ModelAdapter, Request
    from nanobana_engine.worker.main import run
    from nanobana_engine.worker.settings import WorkerSettings
    from support.adapters import PaintAdapter

    url, step_s = sys.argv[1:3]

    class Slow(PaintAdapter):
        """Red; takes its time over edits, not over the warm-up (seed 0)."""

        def condition(self, request: Request) -> Conditioning:
            self.step_s = float(step_s) if request.seed else 0.0
            return super().condition(request)

    def load(_: WorkerSettings, __: object) -> ModelAdapter:
        return Slow((0.9, 0.1, 0.1))

    run(
        WorkerSettings(redis_url=url, parent=int(os.environ["NANOBANA_PARENT"]), lease_ms=1500, beat_s=0.4, drain_s=6),
        load,
    )


if __name__ == "__main__":
    main()
