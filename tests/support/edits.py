"""Edits on pictures without a store: planned, run on an engine, laid on the picture."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import numpy as np

from nanobana.protocol.geometry import Box
from nanobana.protocol.parameters import EditParams
from nanobana.raster.compose import over, over_into
from nanobana.raster.pixels import Gray, Rgba
from nanobana_engine.engine import EditFailed, EditFinished, EditPart, EditProgress, Engine, Source, Whole
from nanobana_engine.engine.events import EditEvent
from nanobana_engine.engine.parts import Part
from nanobana_engine.memory import Memory
from nanobana_engine.models.base import ModelAdapter, Preset
from nanobana_engine.planner import plan_edit
from nanobana_engine.planner.plan import WHOLE


def photo(width: int, height: int, seed: int = 0) -> Rgba:
    """An opaque picture with gradients, edges and grain."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width]
    waves = [np.sin(x / rng.uniform(5, 60) + y / rng.uniform(5, 60)) for _ in range(3)]
    pixels = 128 + 60 * np.stack(waves, axis=-1) + rng.normal(0, 6, (height, width, 3))
    opaque = np.full((height, width, 1), 255)
    return np.concatenate([np.clip(pixels, 0, 255), opaque], axis=-1).astype(np.uint8)


def mask_in(width: int, height: int, box: Box, value: int = 255) -> Gray:
    """A whole-canvas mask with one masked box."""
    mask = np.zeros((height, width), np.uint8)
    mask[box.y0 : box.y1, box.x0 : box.x1] = value
    return mask


def source_of(
    picture: Rgba,
    mask: Gray,
    facts: Preset,
    *,
    id: str = "edit",  # noqa: A002
    user: str = "ana",
    model: str = "",
    whole: int = WHOLE,
    **edit: Any,
) -> Source:
    """An edit over the whole picture, planned; above `whole` pixels of context it counts as large."""
    height, width = picture.shape[:2]
    params = EditParams(**{"box": Box(0, 0, width, height), "seed": 7, **edit})
    plan = plan_edit(mask, params, (width, height), facts, whole=whole)
    c = plan.context
    cut = np.ascontiguousarray(picture[c.y0 : c.y1, c.x0 : c.x1])
    return Source(id=id, canvas="canvas", user=user, edit=params, plan=plan, view=Whole(cut), model=model)


class Watched:
    """An engine whose events are kept, with waiting for ends."""

    def __init__(self, adapter: ModelAdapter, budget: float = 4.0, memory: Memory | None = None) -> None:
        self.events: list[EditEvent] = []
        self._changed = threading.Condition()
        self.engine = Engine(adapter, self._tell, budget=budget, memory=memory)

    def __enter__(self) -> Watched:
        self.engine.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.engine.close(timeout=5)

    def _tell(self, event: EditEvent) -> None:
        with self._changed:
            self.events.append(event)
            self._changed.notify_all()

    def wait_for(self, kind: type[Any], edit: str, timeout: float = 10.0) -> Any:
        """The first event of a kind of an edit."""

        def found() -> list[EditEvent]:
            return [event for event in self.events if isinstance(event, kind) and event.id == edit]

        with self._changed:
            assert self._changed.wait_for(found, timeout), f"no {kind.__name__} of {edit}: {self.events}"
            return found()[0]

    def parts(self, edit: str) -> list[Part]:
        """Of a large result: those told on the way and those left at the end; the newest of each box."""
        told = [event.part for event in self.events if isinstance(event, EditPart) and event.id == edit]
        left = [part for event in self.events if isinstance(event, EditFinished) for part in event.parts()]
        return list({(part.variation, part.box): part for part in [*told, *left]}.values())

    def finish(self, source: Source) -> EditFinished:
        """Run one edit to its end."""
        self.engine.submit(source)
        with self._changed:
            assert self._changed.wait_for(lambda: any(self._is_end(event, source.id) for event in self.events), 15.0)
        end = next(event for event in self.events if self._is_end(event, source.id))
        assert isinstance(end, EditFinished), end
        return end

    def steps(self, edit: str) -> list[EditProgress]:
        return [event for event in self.events if isinstance(event, EditProgress) and event.id == edit]

    @staticmethod
    def _is_end(event: EditEvent, edit: str) -> bool:
        return isinstance(event, (EditFinished, EditFailed)) and event.id == edit


def laid(picture: Rgba, source: Source, patch: Rgba) -> Rgba:
    """The picture with a patch composited, as the server does it."""
    out = picture.copy()
    box = source.plan.result
    part = np.ascontiguousarray(out[box.y0 : box.y1, box.x0 : box.x1])
    out[box.y0 : box.y1, box.x0 : box.x1] = over(part, patch)
    return out


def edited(adapter: ModelAdapter, picture: Rgba, mask: Gray, **edit: Any) -> tuple[Rgba, Source]:
    """The whole way of one edit; the first variation."""
    source = source_of(picture, mask, adapter.preset, **edit)
    with Watched(adapter) as watched:
        end = watched.finish(source)
        if source.plan.is_large:
            return laid_in_parts(picture, watched.parts(source.id)), source
    return laid(picture, source, end.patches()[0]), source


def laid_in_parts(picture: Rgba, parts: Sequence[Part], variation: int = 0) -> Rgba:
    """The picture with the parts of one variation composited."""
    out = picture.copy()
    for part in parts:
        patch = part.patch()
        if part.variation == variation and patch is not None:
            over_into(out[part.box.y0 : part.box.y1, part.box.x0 : part.box.x1], patch)
    return out
