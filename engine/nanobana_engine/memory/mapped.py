"""Pages of a mapped file that were read and are not needed again go back to the system at once (E10). No torch.

Libraries map a file of weights as one piece. Whoever makes something else of a weight has both in memory until the last
weight of the file is gone, unless the pages are let go of one weight after another.
"""

from __future__ import annotations

import ctypes
import mmap
from bisect import bisect_right
from contextlib import suppress
from pathlib import Path


class MappedFiles:
    """The files that this process has mapped for itself now; none where the system does not say (it is not Linux)."""

    def __init__(self) -> None:
        self._spans: list[tuple[int, int]] = []
        with suppress(OSError):
            # 7f6521c00000-7f653ac01000 rw-p 00000000 fe:00 2146655    /path
            for line in Path("/proc/self/maps").read_text("utf-8", "replace").splitlines():
                span, rights, _, _, inode, *_ = line.split(maxsplit=5)
                if rights.endswith("p") and inode != "0":
                    start, end = (int(each, 16) for each in span.split("-"))
                    self._spans.append((start, end))

    def let_go(self, address: int, nbytes: int) -> int:
        """Give back the pages that lie wholly in these bytes, if a file is mapped there; says how many bytes.

        Nobody may need what was changed in them: read again, they are as the file is.
        """
        place = bisect_right(self._spans, (address, 1 << 64)) - 1
        if place < 0 or address + nbytes > self._spans[place][1]:
            return 0
        first = -(-address // mmap.PAGESIZE) * mmap.PAGESIZE
        length = (address + nbytes) // mmap.PAGESIZE * mmap.PAGESIZE - first
        madvise = getattr(ctypes.CDLL(None), "madvise", None)
        if length <= 0 or madvise is None:
            return 0
        failed = madvise(ctypes.c_void_p(first), ctypes.c_size_t(length), mmap.MADV_DONTNEED)
        return 0 if failed else length
