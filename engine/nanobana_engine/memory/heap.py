"""Memory freed after a step stays with the process for the next one, instead of going back to the system each time."""

from __future__ import annotations

import ctypes

KEPT = 256 << 20
"""Free bytes at the heap's end that are not given back; an idle engine is larger by so much at the most."""
MAPPED_FROM = 32 << 20
"""Blocks of at least this are mapped by themselves and given back at once; the largest threshold that glibc takes."""
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3


def keep_freed() -> bool:
    """Tells glibc's allocator; False where there is another one.

    A step allocates and frees the same few megabytes again and again. Unless told otherwise glibc returns them to the
    system in between, and every step pays for fresh zeroed pages: nine per cent of a step of four edits, two of one.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    return all(mallopt(option, size) for option, size in ((M_MMAP_THRESHOLD, MAPPED_FROM), (M_TRIM_THRESHOLD, KEPT)))


def give_back() -> None:
    """Hand what is free to the system now, after something large has gone; nothing with another allocator."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
