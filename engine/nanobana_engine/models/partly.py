"""Parts of the seam that an adapter may leave out: to code no more of a picture than changes, and to count it (E9)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol, TypeAlias, runtime_checkable

import numpy as np
import numpy.typing as npt
import torch

from nanobana_engine.models.base import Pixels

Cells: TypeAlias = npt.NDArray[np.bool_]
"""[h, w]: which cells of a picture's latents."""


@dataclass(slots=True)
class Work:
    """What was asked for and what was done, each in passes over a whole picture."""

    asked: int = 0
    done: float = 0.0

    def note(self, done: float) -> None:
        self.asked += 1
        self.done += done


@dataclass(slots=True)
class Coded:
    """Work of an autoencoder. What it remembered was not asked of it."""

    encoded: Work = field(default_factory=Work)
    decoded: Work = field(default_factory=Work)


@runtime_checkable
class CountsCoding(Protocol):
    """An adapter that knows what its autoencoder did."""

    def take_coded(self) -> Coded:
        """In the calling thread, since this was asked last."""
        ...


@runtime_checkable
class DecodesPart(Protocol):
    """An adapter whose decoder can be asked for a part."""

    def decode_part(self, latents: torch.Tensor, wanted: Cells, beneath: Pixels) -> Pixels:
        """Clean latents to pixels where they are wanted; elsewhere what lies beneath, or the picture all the same.

        Args:
            wanted: some of the latents' cells at least.
            beneath: [h, w, 3] in 0..1; not to be changed.
        """
        ...
