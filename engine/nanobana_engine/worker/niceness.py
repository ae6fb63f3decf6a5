"""Threads that take only what processor time the others leave."""

from __future__ import annotations

import os
import sys
import threading
from contextlib import suppress

NICER = 4
"""Added to the niceness of such a thread: about four parts of the processor against ten."""


def stand_back() -> None:
    """Let this thread, and those that it starts, stand behind the process's others for good."""
    if sys.platform == "linux":  # elsewhere a thread has no niceness of its own
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), os.getpriority(os.PRIO_PROCESS, 0) + NICER)
