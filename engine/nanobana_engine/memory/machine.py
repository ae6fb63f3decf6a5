"""How much memory this machine lets a process have, and sizes in words."""

from __future__ import annotations

import os
import re
from pathlib import Path

from nanobana.protocol.errors import BadInput

GROUP_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
"""Where a container's limit stands, control groups version 2 and 1; "max" or an absurd number says none."""

UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}


def machine_bytes() -> int:
    """The machine's memory, or the container's limit where that is less."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for path in GROUP_LIMITS:
        try:
            limit = int(Path(path).read_text("ascii"))
        except (OSError, ValueError):
            continue
        total = min(total, limit)
    return total


def free_bytes() -> int | None:
    """What could be had now without pushing anybody out; None where the machine does not say (it is not Linux)."""
    try:
        found = re.search(r"^MemAvailable:\s+(\d+) kB$", Path("/proc/meminfo").read_text("ascii"), re.MULTILINE)
    except OSError:
        return None
    return int(found[1]) * 1024 if found else None


def parse_bytes(words: str, setting: str) -> int:
    """6g, 512 MiB, 1.5G or plain bytes; k, m, g and t are powers of 1024.

    Raises:
        BadInput: ``bad_setting``.
    """
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([kmgt]?)(?:i?b)?\s*", words.lower())
    if found is None:
        raise BadInput(f"{setting} is {words!r}; it takes a size such as 6g, 512m or 0.", code="bad_setting")
    return int(float(found[1]) * UNITS[found[2]])


def in_words(nbytes: int) -> str:
    """1.5 GiB."""
    for unit, name in ((1 << 30, "GiB"), (1 << 20, "MiB")):
        if nbytes >= unit:
            return f"{nbytes / unit:.1f} {name}"
    return f"{nbytes / 1024:.0f} KiB"
