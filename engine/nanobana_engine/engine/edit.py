"""One edit inside the engine, from its first look to its result: a stage at a time, each made from the one before."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from nanobana_engine.engine.board import around_result, begun, cut
from nanobana_engine.engine.cost import cost_of
from nanobana_engine.engine.events import EditFinished, EditProgress
from nanobana_engine.engine.parts import Part
from nanobana_engine.engine.shown import Sight, lent
from nanobana_engine.engine.smaller import smaller
from nanobana_engine.engine.source import Pixels, Source
from nanobana_engine.engine.stage import Running, StageRun
from nanobana_engine.models.base import Request
from nanobana_engine.planner.resample import to_bytes
from nanobana_engine.planner.stages import Stage
from nanobana_engine.runner import Runner
from nanobana_engine.scheduler import Unit

Bytes = npt.NDArray[np.uint8]


@dataclass(slots=True)
class EditRun:
    """Lives in the model thread; `begin_stage`, steps of its passes, `end_stage`, until it `is_done`."""

    source: Source
    runner: Runner
    check: Callable[[], None] = lambda: None
    """Called between pieces of longer work; raises where nobody wants the edit any more (E8)."""
    stage_index: int = 0
    parts: dict[int, Running] = field(default_factory=dict)
    """What runs now, by its unit's index."""
    ready: list[Part] = field(default_factory=list)
    """Finished parts of a large result; the owner takes them."""
    failures: int = 0
    """Of runs without company (E8)."""
    steps_done: int = 0
    is_smaller: bool = False
    """Planned again with less at a time, because memory was not enough (E10)."""
    _stage: StageRun | None = None
    _sheets: list[Bytes] = field(default_factory=list)
    """Per variation, the stage before: the whole context at that stage's size."""
    _pictures: list[Pixels] = field(default_factory=list)
    _skipped: int = 0
    """Steps of tiles in which nothing changes."""
    _next_index: int = 0

    @property
    def stage(self) -> Stage:
        return self.source.plan.stages[self.stage_index]

    @property
    def is_done(self) -> bool:
        return self.stage_index >= len(self.source.plan.stages)

    def first_look(self) -> EditProgress:
        """The prefilled hole (E4), at once: everybody sees where something begins while the model still encodes."""
        plan, stage = self.source.plan, self.stage
        if not plan.is_large:
            return self._told(begun(self.source))
        part, sight = around_result(plan, stage), self._opened().sight
        return self._told(cut(plan, stage, to_bytes(sight.prefilled(part, sight.show(part))), part))

    def requests_ahead(self) -> Iterator[Request]:
        """What the first stage will ask of the adapter for a first variation, whatever the prompt will be."""
        return self._opened().requests_ahead()

    def begin_stage(self) -> list[Unit]:
        """Encode every variation of the stage, or of its next tiles.

        Raises:
            nanobana.protocol.errors.BadInput: what the adapter refuses, e.g. ``unknown_prompt``.
        """
        running = self._opened().begin()
        self.parts = dict(enumerate(running, self._next_index))
        self._next_index += len(running)
        return [Unit(self.source.id, index, self.runner.cost(part.one)) for index, part in self.parts.items()]

    def end_stage(self) -> None:
        """Decode the passes; where no tile is left, the next stage is the current one then."""
        opened = self._opened()
        self.ready += opened.end()
        self.let_go()
        if not opened.is_over:
            return
        if not self._is_last:
            self._sheets = opened.sheets()
        elif not self.source.plan.is_large:
            self._pictures = opened.pictures()
        elif len(self.stage.tiles) == 1:
            self._sheets = opened.sheets()
        self._stage = None
        self.stage_index += 1

    @property
    def held_tiles(self) -> int:
        """Finished tiles that wait for their neighbours."""
        return 0 if self._stage is None else self._stage.held_tiles

    def progress(self) -> EditProgress:
        """How it stands after a step, with the first variation's picture, unless that is the result itself."""
        return self._told(None if self._has_result else self._opened().picture())

    @property
    def _has_result(self) -> bool:
        """Every pass of a last stage that is one picture has made its last step."""
        is_one = self._is_last and len(self.stage.tiles) == 1
        return is_one and all(part.one.is_done for part in self.parts.values())

    def finished(self) -> EditFinished:
        """The end; a large result that was one picture to the end is cut into parts only now, by whoever takes it."""
        spent = self.runner.take_spent(self.source.id)
        sight = None
        if self.source.plan.is_large and len(self.source.plan.stages[-1].tiles) == 1:
            details = lent(self.source, self._sheets, self.check)
            sight = Sight(self.source, self.source.plan.stages[-1], self._sheets, details)
        return EditFinished(
            self.source.id,
            self.source,
            self._pictures,
            model_ms=spent.model_s * 1000.0,
            cost=cost_of(self.source.plan, spent),
            condition_ms=spent.condition_s * 1000.0,
            sheets=sight,
        )

    def let_go(self) -> None:
        """Of the passes of the current stage: they are done, or not wanted any more."""
        parts, self.parts = self.parts, {}
        for part in parts.values():
            self.runner.release(part.one)

    def restart(self) -> None:
        """Forget everything and begin again."""
        self.stage_index, self.steps_done, self._skipped = 0, 0, 0
        self.parts, self.ready, self._stage, self._sheets, self._pictures = {}, [], None, [], []

    def shrink(self) -> bool:
        """Plan it with less at a time, once; False if that was done already or leaves too little."""
        less = None if self.is_smaller else smaller(self.source, self.runner.adapter.preset)
        if less is None:
            return False
        self.source, self.is_smaller = less, True
        return True

    @property
    def _is_last(self) -> bool:
        return self.stage_index == len(self.source.plan.stages) - 1

    def _opened(self) -> StageRun:
        """The current stage, begun with what it sees."""
        if self._stage is None:
            sight = Sight(self.source, self.stage, self._sheets, check=self.check)
            if self._sheets and (sight.is_full_scale or self._is_last):
                sight.details = lent(self.source, self._sheets, self.check)
            parts = self._is_last and self.source.plan.is_large
            self._stage = StageRun(sight, self.runner, self.stage_index, parts=parts, check=self.check)
            self._skipped += self.stage.steps * (len(self.stage.tiles) - self._stage.tiles)
        return self._stage

    def _told(self, picture: Bytes | None) -> EditProgress:
        """Progress counts the steps of one variation; tiles in which nothing changes count as done."""
        opened, stages = self._opened(), self.source.plan.stages
        of = sum(stage.steps * len(stage.tiles) for stage in stages)
        done = min(of, self.steps_done // self.source.edit.variations + self._skipped)
        return EditProgress(
            self.source.id, self.stage.name, done, of, picture, tile=opened.tiles_done, tiles=opened.tiles
        )
