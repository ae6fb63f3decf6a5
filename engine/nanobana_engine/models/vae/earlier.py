"""Earlier passes, found by how much of what they saw a new picture still shows (E9).

Blocks of content find an earlier pass; the content itself, which is kept with it, says which cells changed. So neither
a collision of keys nor a canvas that changed underneath can make anything stale look fresh.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from torch import Tensor

from nanobana_engine.memory import Memory
from nanobana_engine.models.recent import Recent, digest
from nanobana_engine.models.vae.boxes import Bools
from nanobana_engine.models.vae.walk import Passed

Content = npt.NDArray[np.float32]

BLOCK = 8
"""Cells along a side of a block."""
MOST_KNOWN = 64
"""Passes that are looked for; what they hold is bounded by the cache that they are in."""
MOST_ALONE = 2
"""That are kept outside an engine's memory."""


@dataclass(frozen=True, slots=True)
class Pass:
    """One pass over a whole picture, as it is by now."""

    content: Content
    """What it saw, [h · stride, w · stride, channels]."""
    passed: Passed
    stale: Bools
    """[h, w]: cells whose content was another when the statistics were taken."""
    latents: Tensor | None = None
    """[1, c, h, w], of an encoder's."""

    @property
    def nbytes(self) -> int:
        rest = 0 if self.latents is None else self.latents.nbytes
        return self.content.nbytes + self.stale.nbytes + self.passed.nbytes + rest

    def cpu(self) -> Pass:
        latents = None if self.latents is None else self.latents.cpu()
        return replace(self, passed=self.passed.cpu(), latents=latents)


class Earlier:
    """The passes of one network. Safe to call from several threads.

    Args:
        stride: elements of the content along a side of a cell.
    """

    def __init__(self, stride: int) -> None:
        self._stride = stride
        self._passes: Recent[Pass] = Recent(MOST_ALONE, "passes")
        self._blocks: OrderedDict[bytes, tuple[tuple[int, ...], tuple[bytes, ...]]] = OrderedDict()
        """By name: the shape of the content and the keys of its blocks."""
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._blocks)

    def remember_in(self, memory: Memory, model: str) -> None:
        self._passes.remember_in(memory, model)

    def keep(self, one: Pass) -> None:
        name = digest(one.content)
        blocks = self._keys(one.content)
        with self._lock:
            self._blocks[name] = (one.content.shape, blocks)
            while len(self._blocks) > MOST_KNOWN:
                self._blocks.popitem(last=False)
        self._passes.put(name, one)

    def nearest(self, content: Content) -> tuple[Pass, Bools] | None:
        """The pass that saw the most of a content, and which cells, [h, w], it saw otherwise."""
        blocks = self._keys(content)
        with self._lock:
            known = [
                (sum(map(bytes.__eq__, blocks, keys)), name)
                for name, (shape, keys) in self._blocks.items()
                if shape == content.shape
            ]
        for _, name in sorted(known, reverse=True):
            found = self._passes.peek(name)
            if found is not None:
                return found, self._changed(found.content, content)
            with self._lock:
                self._blocks.pop(name, None)
        return None

    def _changed(self, before: Content, after: Content) -> Bools:
        height, width, stride = before.shape[0], before.shape[1], self._stride
        differs = (before != after).any(axis=2)
        return np.asarray(differs.reshape(height // stride, stride, width // stride, stride).any(axis=(1, 3)))

    def _keys(self, content: Content) -> tuple[bytes, ...]:
        side = BLOCK * self._stride
        corners = ((y, x) for y in range(0, content.shape[0], side) for x in range(0, content.shape[1], side))
        return tuple(digest(content[y : y + side, x : x + side]) for y, x in corners)
