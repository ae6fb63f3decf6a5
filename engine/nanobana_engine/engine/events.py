"""What the engine tells about an edit while it runs: progress with a picture, then exactly one end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from nanobana.raster.pixels import Rgba
from nanobana_engine.engine.source import Pixels, Source
from nanobana_engine.engine.stitch import stitch


@dataclass(frozen=True, slots=True)
class EditProgress:
    """After a step."""

    id: str
    stage: Literal["layout", "rough", "detail", "erase"]
    step: int
    of: int
    picture: npt.NDArray[np.uint8] | None
    """[h, w, 3]: the result's box as it looks now, at any size."""


@dataclass(frozen=True, slots=True)
class EditFinished:
    """The model is done with it; `patch` is the rest of the work, for any thread."""

    id: str
    source: Source
    pictures: Sequence[Pixels]
    """One per variation: the whole context, [h, w, 3], at the size of the last stage."""
    model_ms: float
    condition_ms: float = 0.0

    def patch(self, variation: int) -> Rgba:
        """The RGBA patch of `source.plan.result` for one variation."""
        return stitch(self.source.plan, self.pictures[variation], self.source.pixels())

    def patches(self) -> list[Rgba]:
        """All of them."""
        return [self.patch(variation) for variation in range(len(self.pictures))]


@dataclass(frozen=True, slots=True)
class EditFailed:
    """It will not be done; a sentence for people."""

    id: str
    code: str
    message: str


EditEvent: TypeAlias = EditProgress | EditFinished | EditFailed
