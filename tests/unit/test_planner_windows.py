"""Edits of one place are planned in the same window, so that what was computed of it is there (E2, E9)."""

from __future__ import annotations

import numpy as np
import pytest

from nanobana.protocol.geometry import Box
from nanobana.protocol.parameters import EditParams
from nanobana_engine.models.preset import Preset
from nanobana_engine.planner import Plan
from nanobana_engine.planner.plan import plan_edit

PRESET = Preset(name="m", native=512, min_side=384, max_side=768, multiple=64, reuses=True)
CANVAS = (2048, 1536)


def planned(box: Box, canvas: tuple[int, int] = CANVAS) -> Plan:
    edit = EditParams(prompt="a", box=box)
    return plan_edit(np.full((box.height, box.width), 255, np.uint8), edit, canvas, PRESET)


def at(x: int, y: int, side: int) -> Box:
    return Box(x, y, x + side, y + side)


def test_e9_edits_near_each_other_see_the_same_window() -> None:
    windows = {planned(at(900 + dx, 700 + dy, 60)).context for dx in (0, 40, 80) for dy in (0, 30, 60)}
    assert len(windows) == 1
    (window,) = windows
    assert (window.width, window.height) == (512, 512)


@pytest.mark.parametrize("side", [16, 64, 120, 200, 300])
@pytest.mark.parametrize("x", [0, 1, 333, 1111, 1700])
def test_e2_a_window_holds_all_that_its_edit_may_change_and_its_surroundings(side: int, x: int) -> None:
    plan = planned(at(x, x // 2, side))
    window, mask = plan.context, plan.mask_box
    assert window.intersect(Box(0, 0, *CANVAS)) == window
    near = mask.grow(max(plan.reach.pixels, 64)).intersect(Box(0, 0, *CANVAS))
    assert near.intersect(window) == near


def test_e2_an_edit_too_large_for_a_window_is_framed_as_ever() -> None:
    plan = planned(at(600, 300, 480))
    assert plan.context.width > 512
    assert not plan.context.intersect(plan.mask_box.grow(plan.reach.pixels)).is_empty


def test_e2_a_canvas_smaller_than_a_window_is_the_window() -> None:
    assert planned(at(100, 100, 40), (512, 512)).context == Box(0, 0, 512, 512)
    assert planned(at(100, 100, 40), (448, 700)).context.width == 448
