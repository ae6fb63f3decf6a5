"""Exec wrapper that ties a process to its parent: run as a script, it dies with the parent and becomes the command.

Kept free of imports from nanobana, so that it starts in milliseconds under ``python -I -S``.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

PR_SET_PDEATHSIG = 1
USAGE = "usage: tether.py PARENT_PID SIGNAL NICE COMMAND [ARGUMENT …]"


def die_with_parent(parent: int, death_signal: int = signal.SIGKILL) -> None:
    """Ask the kernel to send `death_signal` when the parent ends, however it ends; does nothing off Linux.

    The setting survives exec. It is made before the check, so a parent that died in between is noticed.

    Raises:
        SystemExit: if the parent is gone already.
    """
    if sys.platform == "linux":
        import ctypes

        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(PR_SET_PDEATHSIG, int(death_signal), 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    if os.getppid() != parent:
        raise SystemExit(0)


def tethered(command: list[str], *, death_signal: int = signal.SIGKILL, nice: int = 0) -> list[str]:
    """The command line that runs `command` tied to the calling process, `nice` steps behind it in priority."""
    return [sys.executable, "-I", "-S", __file__, str(os.getpid()), str(int(death_signal)), str(nice), *command]


def main(arguments: list[str]) -> None:
    """Tie this process to its parent and become the command; never returns."""
    if len(arguments) < 4 or not Path(arguments[3]).is_file():
        raise SystemExit(USAGE)
    parent, death_signal, nice = (int(word) for word in arguments[:3])
    die_with_parent(parent, death_signal)
    if nice:
        os.nice(nice)
    os.execv(arguments[3], arguments[3:])


if __name__ == "__main__":
    main(sys.argv[1:])
