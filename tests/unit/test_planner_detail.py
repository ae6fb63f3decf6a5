"""Detail on request (E2, E3): a small region is shown to the model enlarged to its own size, others as ever."""

from __future__ import annotations

import numpy as np
import pytest

from nanobana.protocol.geometry import Box
from nanobana.protocol.parameters import EditParams
from nanobana_engine.models.base import Pixels, Request
from nanobana_engine.models.shelf import Shelf
from nanobana_engine.models.wishes import understood
from nanobana_engine.planner import Plan, plan_edit
from support.adapters import PixelAdapter, preset
from support.edits import edited, mask_in, photo

TAKES = preset(native=256, min_side=128, max_side=320, takes=frozenset({"detail"}))
CANVAS = (600, 500)
SMALL, MIDDLE, LARGE = Box(300, 200, 330, 226), Box(200, 150, 330, 280), Box(20, 20, 580, 480)


def _plan(box: Box, *, detail: bool = True, facts: object = TAKES) -> Plan:
    edit = EditParams(box=Box(0, 0, *CANVAS), detail=detail)
    return plan_edit(mask_in(*CANVAS, box), edit, CANVAS, facts)  # type: ignore[arg-type]


def test_E3_a_small_region_runs_at_the_models_own_size_with_less_around_it() -> None:
    plain, close = _plan(SMALL, detail=False), _plan(SMALL)
    (stage,) = close.stages
    assert plain.context.contains(close.context) and close.context.area < plain.context.area
    assert stage.width / close.context.width > 1.5 * plain.stages[0].width / plain.context.width
    assert max(stage.width, stage.height) <= TAKES.max_side
    assert close.context.contains(close.result) and close.result == plain.result


@pytest.mark.parametrize("box", [Box(0, 0, 12, 9), Box(588, 490, 600, 500), SMALL])
def test_E3_what_may_change_is_inside_what_the_model_sees(box: Box) -> None:
    plan = _plan(box)
    reached = box.grow(plan.reach.pixels).intersect(Box(0, 0, *CANVAS))
    assert Box(0, 0, *CANVAS).contains(plan.context) and plan.context.contains(reached)


@pytest.mark.parametrize("box", [MIDDLE, LARGE])
def test_E3_a_region_of_the_models_size_or_larger_is_planned_as_without(box: Box) -> None:
    plain, asked = _plan(box, detail=False), _plan(box)
    assert (asked.context, asked.stages) == (plain.context, plain.stages)


def test_a_model_that_does_not_take_it_changes_nothing_by_it() -> None:
    other = preset(native=256, min_side=128, max_side=320)
    plain, asked = _plan(SMALL, detail=False, facts=other), _plan(SMALL, facts=other)
    assert (asked.context, asked.stages) == (plain.context, plain.stages)
    edit = EditParams(box=SMALL, mask_png=b"m", detail=True)
    assert not understood(edit, other, Shelf())[0].detail
    assert understood(edit, TAKES, Shelf())[0].detail


class Stripes(PixelAdapter):
    """Draws stripes of eight of its own pixels."""

    def answer(self, request: Request) -> Pixels:
        striped = np.zeros_like(request.pixels)
        striped[:, np.arange(striped.shape[1]) // 8 % 2 == 0] = 1.0
        return striped


def test_E5_detail_is_finer_than_the_canvas_scale_shows_and_nothing_else_changes() -> None:
    picture = photo(*CANVAS)
    inside = (slice(SMALL.y0 + 6, SMALL.y1 - 6), slice(SMALL.x0 + 6, SMALL.x1 - 6))
    contrast = {}
    for detail in (False, True):
        after, source = edited(Stripes(TAKES), picture, mask_in(*CANVAS, SMALL), detail=detail)
        contrast[detail] = float(np.abs(np.diff(after[inside][..., 0].astype(float), axis=1)).mean())
        box = source.plan.result
        after[box.y0 : box.y1, box.x0 : box.x1] = picture[box.y0 : box.y1, box.x0 : box.x1]
        assert np.array_equal(after, picture)
    assert contrast[True] > 1.8 * contrast[False]  # as many stripes more as the model has pixels more
