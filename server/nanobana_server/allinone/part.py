"""One part of the all-in-one run, kept alive: started, restarted with back-off when it dies, stopped patiently."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import anyio
import msgspec
from anyio.abc import Process

from nanobana_server.allinone.console import Console
from nanobana_server.allinone.errors import PartFailed, PartRefused
from nanobana_server.allinone.tether import tethered

STEADY_S = 30.0
"""A part that ran this long was well: its next death counts as the first."""
REFUSED = 2
"""Exit code of a part that cannot do what it was told, e.g. a model that is not there: trying again is no use."""
GIVE_UP_AFTER = 3
"""Deaths in a row, before the part was ever ready, after which the run gives up."""
BACK_OFF_S = 0.2
BACK_OFF_MAX_S = 5.0
LOG_KEPT_BYTES = 4 << 20
LOG_TAIL_BYTES = 1500


class Part(msgspec.Struct, frozen=True):
    """How a part is run."""

    name: str
    command: list[str]
    environment: Mapping[str, str]
    log: Path | None
    """File its output is added to; None for this process's own output."""
    grace_s: float
    """How long it may take to stop before it is killed."""
    death_signal: int = signal.SIGKILL
    """What the kernel sends it when this process is gone."""
    nice: int = 0
    pass_fds: tuple[int, ...] = ()


def back_off(failures: int) -> float:
    """Seconds to wait before the next start, after so many deaths in a row (1 or more)."""
    return min(BACK_OFF_S * 2.0 ** (failures - 1), BACK_OFF_MAX_S)


def how_it_ended(code: int) -> str:
    """A process's return code in words."""
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        return f"was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"was ended by signal {-code}"


class Keeper:
    """Keeps one part running until it is told to stop."""

    def __init__(self, part: Part, console: Console) -> None:
        self.part = part
        self._console = console
        self._process: Process | None = None
        self._stopping = anyio.Event()
        self._done = anyio.Event()
        self._was_ready = False

    @property
    def pid(self) -> int | None:
        """Process ID of the part while it runs."""
        process = self._process
        return process.pid if process is not None and process.returncode is None else None

    def ready(self) -> None:
        """Say that the part does its work: from now on it is restarted however often it dies."""
        self._was_ready = True
        self._console.part(self.part.name, "ready")

    async def keep(self) -> None:
        """Run the part until `stop`; cancelling does not end it, for that would leave the process behind.

        Raises:
            PartFailed: it died `GIVE_UP_AFTER` times in a row and was never ready.
            PartRefused: it was told something that cannot be, and says so.
        """
        try:
            with anyio.CancelScope(shield=True):
                await self._keep()
        finally:
            self._done.set()

    async def _keep(self) -> None:
        failures = 0
        while not self._stopping.is_set():
            begun = anyio.current_time()
            code = await self._run()
            if self._stopping.is_set():
                if code not in (0, -signal.SIGTERM):
                    self._console.part(self.part.name, f"stopped, but {how_it_ended(code)}")
                return
            failures = 1 if anyio.current_time() - begun > STEADY_S else failures + 1
            ended = how_it_ended(code)
            if code == REFUSED and not self._was_ready:
                raise PartRefused(self.part.name, self._log_tail())
            if failures >= GIVE_UP_AFTER and not self._was_ready:
                raise PartFailed(self.part.name, failures, ended, self.part.log, self._log_tail())
            delay = back_off(failures)
            self._console.part(self.part.name, f"{ended}; starting it again in {delay:.1f} s")
            with anyio.move_on_after(delay):
                await self._stopping.wait()

    async def _run(self) -> int:
        part = self.part
        log = _open_log(part.log) if part.log else None
        try:
            process = await anyio.open_process(
                tethered(part.command, death_signal=part.death_signal, nice=part.nice),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=dict(part.environment),
                start_new_session=True,
                pass_fds=part.pass_fds,
            )
        finally:
            if log is not None:
                os.close(log)
        self._process = process
        if self._stopping.is_set():
            process.terminate()
        code = await process.wait()
        self._signal_group(process, signal.SIGKILL)  # whatever it started and left behind
        return code

    async def stop(self) -> None:
        """Ask the part to end, wait its grace, then kill it; returns when it is gone. Harmless when it never ran."""
        self._stopping.set()
        if self._process is None:
            return
        if self._process.returncode is None:
            self._console.part(self.part.name, "stopping")
            self._process.terminate()
        with anyio.move_on_after(self.part.grace_s):
            await self._done.wait()
        if not self._done.is_set():
            self._console.part(self.part.name, f"did not stop within {self.part.grace_s:.0f} s: killed")
            self.kill()
            await self._done.wait()

    def kill(self) -> None:
        """End the part and all it started, at once."""
        if self._process is not None and self._process.returncode is None:
            self._signal_group(self._process, signal.SIGKILL)

    @staticmethod
    def _signal_group(process: Process, what: signal.Signals) -> None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, what)

    def _log_tail(self) -> str:
        if self.part.log is None:
            return ""
        try:
            with self.part.log.open("rb") as file:
                file.seek(max(0, file.seek(0, os.SEEK_END) - LOG_TAIL_BYTES))
                return file.read().decode("utf-8", "replace").strip()
        except OSError:
            return ""


def _open_log(path: Path) -> int:
    """A descriptor that appends to `path`; a log grown past `LOG_KEPT_BYTES` is set aside first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and path.stat().st_size > LOG_KEPT_BYTES:
        path.replace(path.with_suffix(".old.log"))
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
