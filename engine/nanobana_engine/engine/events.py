"""What the engine tells about an edit while it runs: progress with a picture, then exactly one end."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from nanobana.protocol.canvas import Cost
from nanobana.raster.pixels import Rgba
from nanobana_engine.engine.parts import Part, make_part, part_boxes
from nanobana_engine.engine.shown import Sight
from nanobana_engine.engine.source import Pixels, Source
from nanobana_engine.engine.stitch import stitch
from nanobana_engine.planner.resample import reading


@dataclass(frozen=True, slots=True)
class EditProgress:
    """After a step."""

    id: str
    stage: Literal["layout", "rough", "detail", "erase"]
    step: int
    of: int
    picture: npt.NDArray[np.uint8] | None
    """[h, w, 3]: the result's box as it looks now, at any size."""
    tile: int = 0
    tiles: int = 1
    """How many tiles of the stage are done, of how many."""


@dataclass(frozen=True, slots=True)
class EditPart:
    """A part of a large result is finished; an edit that begins again tells its parts again."""

    id: str
    part: Part


@dataclass(frozen=True, slots=True)
class EditFinished:
    """The model is done with it; the patches are the rest of the work, for any thread."""

    id: str
    source: Source
    pictures: Sequence[Pixels]
    """One per variation: the whole context, [h, w, 3], at the size of the last stage; none of a large one."""
    model_ms: float
    cost: Cost
    condition_ms: float = 0.0
    sheets: Sight | None = None
    """For a large region that stayed one picture to the end: its finished sheets as the earlier ones of this sight."""

    def patch(self, variation: int) -> Rgba:
        """The RGBA patch of `source.plan.result` for one variation, of an edit that is not large."""
        return stitch(self.source, self.pictures[variation])

    def patches(self) -> list[Rgba]:
        """All of them."""
        return [self.patch(variation) for variation in range(len(self.pictures))]

    def parts(self) -> Iterator[Part]:
        """The parts of a large result that were not told before its end."""
        if self.sheets is None:
            return
        for box in part_boxes(self.source):
            for variation, sheet in enumerate(self.sheets.earlier):
                yield make_part(self.sheets, reading(sheet), variation, box)


@dataclass(frozen=True, slots=True)
class EditFailed:
    """It will not be done; a sentence for people."""

    id: str
    code: str
    message: str


EditEvent: TypeAlias = EditProgress | EditPart | EditFinished | EditFailed
