"""The lock on a data folder: one nanobana at a time, and the embedded store holds it too, so two never share an AOF."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from nanobana_server.allinone.errors import DataInUse, DataUnusable

LOCK_NAME = "nanobana.lock"
ORPHAN_WAIT_S = 10.0
"""How long a start waits for the store of a killed nanobana, which still holds the lock, to write its last and end."""


class Holder(msgspec.Struct, frozen=True):
    """Who holds the lock, as written into the lock file."""

    pid: int
    address: str


@contextmanager
def hold(folder: Path, address: str, *, orphan_wait_s: float = ORPHAN_WAIT_S) -> Iterator[int]:
    """Hold the folder's lock; gives the lock's file descriptor.

    A process that inherits the descriptor holds the lock too, after this one has died. That is on purpose for the
    embedded store: a successor waits for it instead of starting a second writer on the same files.

    Raises:
        DataInUse: another living nanobana holds it.
        DataUnusable: the folder cannot be made or written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise DataUnusable(folder, error.strerror or str(error)) from error
    try:
        _take(descriptor, folder, orphan_wait_s)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, msgspec.json.encode(Holder(os.getpid(), address)), 0)
        yield descriptor
    finally:
        os.close(descriptor)


def _take(descriptor: int, folder: Path, orphan_wait_s: float) -> None:
    deadline = time.monotonic() + orphan_wait_s
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = _read(descriptor)
            if holder is None or _alive(holder.pid) or time.monotonic() > deadline:
                pid, address = (holder.pid, holder.address) if holder else (None, None)
                raise DataInUse(folder, pid, address) from None
            time.sleep(0.05)
        except OSError as error:
            raise DataUnusable(folder, f"it cannot be locked ({error.strerror})") from error
        else:
            return


def _read(descriptor: int) -> Holder | None:
    try:
        return msgspec.json.decode(os.pread(descriptor, 4096, 0), type=Holder)
    except msgspec.DecodeError:
        return None


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
