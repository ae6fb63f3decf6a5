"""One edit inside the engine: its stages, the passes of the current one, and the picture that grows from them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from nanobana.protocol.geometry import Box
from nanobana_engine.engine.events import EditFinished, EditProgress
from nanobana_engine.engine.smaller import smaller
from nanobana_engine.engine.source import Pixels, Source
from nanobana_engine.engine.tiles import blend
from nanobana_engine.models.base import Request
from nanobana_engine.planner.prefill import prefill
from nanobana_engine.planner.resample import fit, resize, scaled_box
from nanobana_engine.planner.stages import Stage
from nanobana_engine.runner import Pass, Runner
from nanobana_engine.scheduler import Unit

PREVIEW_SIDE = 512
"""Longest side of a preview's picture."""


def _is_whole(part: tuple[float, float, float, float]) -> bool:
    """Whether a part lies on whole pixels."""
    return all(side == int(side) for side in part)


@dataclass(slots=True)
class _Shown:
    """The context at one stage's size."""

    pixels: Pixels
    prefilled: Pixels
    mask: npt.NDArray[np.float32]
    user_mask: npt.NDArray[np.float32]


@dataclass(slots=True)
class _Part:
    """One unit of the current stage."""

    variation: int
    tile: Box
    one: Pass


@dataclass(slots=True)
class EditRun:
    """Lives in the model thread; `begin_stage`, steps of its passes, `end_stage`, until it `is_done`."""

    source: Source
    runner: Runner
    stage_index: int = 0
    pictures: list[Pixels] = field(default_factory=list)
    """Per variation, the result of the last finished stage: the whole context at that stage's size."""
    parts: dict[int, _Part] = field(default_factory=dict)
    failures: int = 0
    """Of runs without company (E8)."""
    steps_done: int = 0
    is_smaller: bool = False
    """Planned again with less at a time, because memory was not enough (E10)."""
    _shown: _Shown | None = None
    _next_index: int = 0

    @property
    def stage(self) -> Stage:
        return self.source.plan.stages[self.stage_index]

    @property
    def is_done(self) -> bool:
        return self.stage_index >= len(self.source.plan.stages)

    def first_look(self) -> EditProgress:
        """The prefilled hole (E4), at once: everybody sees where something begins while the model still encodes."""
        stage = self.stage
        self._shown = self._show(stage)
        picture = np.rint(self._shown.prefilled * 255.0).astype(np.uint8)
        return EditProgress(self.source.id, stage.name, 0, self._total, self._cut(picture, stage))

    def requests_ahead(self) -> Iterator[Request]:
        """What the first stage will ask of the adapter for a first variation, whatever the prompt will be."""
        shown = self._show(self.stage)
        return (self._request(self.stage, shown, 0, tile) for tile in self.stage.tiles)

    def begin_stage(self) -> list[Unit]:
        """Encode every variation and tile of the next stage.

        Raises:
            nanobana.protocol.errors.BadInput: what the adapter refuses, e.g. ``unknown_prompt``.
        """
        stage, edit = self.stage, self.source.edit
        shown = self._shown = self._shown or self._show(stage)
        self.parts = {}
        units = []
        guidance = self.runner.adapter.preset.guidance if edit.guidance is None else edit.guidance
        for tile in stage.tiles:
            for variation in range(edit.variations):
                one = self.runner.start(
                    self._request(stage, shown, variation, tile),
                    owner=self.source.id,
                    steps=stage.steps,
                    guidance=guidance,
                    stage=self.stage_index,
                    frame=(stage.width, stage.height),
                    tile=tile,
                )
                self.parts[self._next_index] = _Part(variation, tile, one)
                units.append(Unit(self.source.id, self._next_index, self.runner.cost(one)))
                self._next_index += 1
        return units

    def end_stage(self) -> None:
        """Decode the passes and put their tiles together; the next stage is the current one then."""
        assert self._shown is not None
        overlap = max(1, self.runner.adapter.preset.native // 4)
        before = self._before(self._shown)
        self.pictures = [
            blend(
                before[variation],
                [
                    (part.tile, self.runner.decode(part.one))
                    for part in self.parts.values()
                    if part.variation == variation
                ],
                overlap,
            )
            for variation in range(self.source.edit.variations)
        ]
        self.let_go()
        self._shown = None
        self.stage_index += 1

    def progress(self) -> EditProgress:
        """How it stands after a step, with the first variation's picture, unless that is the result itself."""
        assert self._shown is not None
        stage = self.stage
        done = min(self._total, self.steps_done // self.source.edit.variations)
        if self.has_result:
            return EditProgress(self.source.id, stage.name, done, self._total, None)
        firsts = [part for part in self.parts.values() if part.variation == 0]
        if len(stage.tiles) == 1:
            picture = self.runner.preview(firsts[0].one)
        else:
            base = self._before(self._shown)[0]
            shown = [
                (part.tile, self.runner.preview(part.one).astype(np.float32) / np.float32(255.0))
                for part in firsts
                if part.one.clean is not None
            ]
            picture = np.rint(blend(base, shown, max(1, self.runner.adapter.preset.native // 4)) * 255.0).astype(
                np.uint8
            )
        return EditProgress(self.source.id, stage.name, done, self._total, self._cut(picture, stage))

    @property
    def has_result(self) -> bool:
        """Every pass of the last stage has made its last step."""
        is_last = self.stage_index + 1 == len(self.source.plan.stages)
        return is_last and all(part.one.is_done for part in self.parts.values())

    @property
    def _total(self) -> int:
        """Steps of one variation."""
        return sum(stage.steps * len(stage.tiles) for stage in self.source.plan.stages)

    def finished(self) -> EditFinished:
        spent = self.runner.take_spent(self.source.id)
        return EditFinished(
            self.source.id, self.source, self.pictures, spent.model_s * 1000.0, spent.condition_s * 1000.0
        )

    def let_go(self) -> None:
        """Of the passes of the current stage: they are done, or not wanted any more."""
        parts, self.parts = self.parts, {}
        for part in parts.values():
            self.runner.release(part.one)

    def restart(self) -> None:
        """Forget everything and begin again."""
        self.stage_index, self.pictures, self.parts, self.steps_done, self._shown = 0, [], {}, 0, None

    def shrink(self) -> bool:
        """Plan it with less at a time, once; False if that was done already or leaves too little."""
        less = None if self.is_smaller else smaller(self.source, self.runner.adapter.preset)
        if less is None:
            return False
        self.source, self.is_smaller = less, True
        return True

    def _show(self, stage: Stage) -> _Shown:
        plan, target = self.source.plan, (stage.width, stage.height)
        user_mask = (plan.user_mask > 0).astype(np.float32)
        pixels = self.source.pixels()
        # the hole is filled at canvas scale: resampling first would mix the old content into its border
        prefilled = fit(prefill(pixels, plan.user_mask > 0), target)
        soft = fit(user_mask, target)
        return _Shown(
            pixels=fit(pixels, target),
            prefilled=prefilled,
            mask=np.maximum(fit(plan.denoise, target), (soft > 0.02).astype(np.float32)),
            user_mask=soft,
        )

    def _before(self, shown: _Shown) -> list[Pixels]:
        """Per variation, what stands there before this stage: the canvas, or the stage before under the mask."""
        if not self.pictures:
            return [shown.pixels] * self.source.edit.variations
        target = (shown.pixels.shape[1], shown.pixels.shape[0])
        share = np.minimum(1.0, 2.0 * shown.mask)[..., None]
        return [
            (shown.pixels + share * (self._grown(picture, target) - shown.pixels)).astype(np.float32)
            for picture in self.pictures
        ]

    def _grown(self, picture: Pixels, target: tuple[int, int]) -> Pixels:
        """An earlier stage's picture at a later one's size, by way of the context that both may have padded."""
        across, down = scaled_box(Box(0, 0, *self.source.plan.size), self.source.plan.size, target)[2:]
        grown = resize(picture, (round(across), round(down)))
        return fit(grown, target)

    def _request(self, stage: Stage, shown: _Shown, variation: int, tile: Box) -> Request:
        where = (slice(tile.y0, tile.y1), slice(tile.x0, tile.x1))
        refines = bool(self.pictures)
        edit, plan = self.source.edit, self.source.plan
        inside = plan.mask_box.shift(-plan.context.x0, -plan.context.y0)
        x0, y0, x1, y1 = scaled_box(inside, plan.size, (stage.width, stage.height))
        return Request(
            pixels=shown.pixels[where],
            prefilled=shown.prefilled[where],
            mask=shown.mask[where],
            user_mask=shown.user_mask[where],
            mask_box=(x0 - tile.x0, y0 - tile.y0, x1 - tile.x0, y1 - tile.y0),
            prompt=edit.prompt,
            negative=edit.negative,
            loras=self.source.loras,
            references=self.source.references,
            seed=self.source.seed(variation),
            variation=variation,
            stage=stage.name,
            previous=self._before(shown)[variation][where] if refines else None,
            strength=stage.strength,
        )

    def _cut(self, picture: npt.NDArray[np.uint8], stage: Stage) -> npt.NDArray[np.uint8]:
        """The result's box out of a picture of the whole stage, at most PREVIEW_SIDE large."""
        plan = self.source.plan
        height, width = picture.shape[:2]
        x0, y0, x1, y1 = scaled_box(plan.result_inside, plan.size, (stage.width, stage.height))
        across, down = width / stage.width, height / stage.height
        part = (x0 * across, y0 * down, min(float(width), x1 * across), min(float(height), y1 * down))
        if _is_whole(part) and max(part[2] - part[0], part[3] - part[1]) <= PREVIEW_SIDE:
            return picture[round(part[1]) : round(part[3]), round(part[0]) : round(part[2])]
        longest = max(part[2] - part[0], part[3] - part[1], 1.0)
        shrink = min(1.0, PREVIEW_SIDE / longest)
        size = (max(1, round((part[2] - part[0]) * shrink)), max(1, round((part[3] - part[1]) * shrink)))
        return resize(picture, size, part)
