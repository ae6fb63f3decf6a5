"""Guesses by what they were made from: variations, re-rolls and what was prepared ahead guess nothing twice (E9)."""

from __future__ import annotations

import hashlib

import numpy as np

from nanobana_engine.memory import Cache, Ledger
from nanobana_engine.memory.flights import Flights, GoesOn
from nanobana_engine.models.nano.around import HOLE_FROM, Around, always, look_around
from nanobana_engine.models.nano.arrays import Bools, Floats

UNTOLD_BYTES = 64 << 20
"""Remembered where nobody said how much."""


class Guesses:
    """Looks around a hole once, whoever asks; safe to call from several threads.

    The key is a hash of every pixel outside the hole and of the hole: what was made for other pixels is never found.
    """

    def __init__(self, cache: Cache[bytes, Around] | None = None) -> None:
        self._cache = Cache(Ledger(UNTOLD_BYTES), "guesses", UNTOLD_BYTES) if cache is None else cache
        self._flights: Flights[bytes, Around] = Flights()
        self._newest: tuple[bytes, Around] | None = None
        """Kept in any case: the variations of an edit follow each other, however large it is."""

    def look(self, pixels: Floats, mask: Floats) -> Around:
        """`look_around`, or its earlier answer for the same pixels outside the same hole."""
        key = key_of(pixels, mask > HOLE_FROM)
        if self._newest is not None and self._newest[0] == key:
            return self._newest[1]
        around = self._made(key, pixels, mask, always)
        assert around is not None
        self._newest = (key, around)
        return around

    def prepare(self, pixels: Floats, mask: Floats, goes_on: GoesOn) -> None:
        """Make what `look` will be asked for, if there is room to remember it."""
        if self._cache.limit_bytes:
            self._made(key_of(pixels, mask > HOLE_FROM), pixels, mask, goes_on)

    def _made(self, key: bytes, pixels: Floats, mask: Floats, goes_on: GoesOn) -> Around | None:
        def work(goes_on: GoesOn) -> Around | None:
            around = self._cache.get(key)
            if around is None:
                around = look_around(pixels, mask, goes_on)
                if around is not None:
                    self._cache.put(key, around, around.nbytes)
            return around

        return self._flights.make(key, work, goes_on)


def key_of(pixels: Floats, hole: Bools) -> bytes:
    """Of a region (H, W, 3) and its hole (H, W); what is in the hole has no part in it."""
    digest = hashlib.blake2b(np.packbits(hole).tobytes(), digest_size=16)
    digest.update(repr((pixels.shape, pixels.dtype.str)).encode())
    digest.update(pixels[~hole].tobytes())
    return digest.digest()
