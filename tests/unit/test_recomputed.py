"""What an edit recomputed is counted as it was done, and time is told only where a whole pass was timed (E9)."""

from __future__ import annotations

import numpy as np
import pytest

from nanobana.protocol.canvas import Cost
from nanobana.protocol.geometry import Box
from nanobana_engine.engine import EditFinished
from nanobana_engine.memory import Memory
from nanobana_engine.models.partly import Work
from nanobana_engine.models.preset import Preset
from nanobana_engine.models.sd.adapter import SdAdapter
from nanobana_engine.runner.meter import MOST_SIZES, Meter, Step, Yardstick
from support.adapters import PixelAdapter, preset
from support.edits import Watched, mask_in, photo, source_of
from support.tiny import sd_pipeline

tiny = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
STEPS = 4


def ran(watched: Watched, source: object) -> Cost:
    watched.engine.submit(source)  # type: ignore[arg-type]
    finished: EditFinished = watched.wait_for(EditFinished, source.id)  # type: ignore[attr-defined]
    return finished.cost


@pytest.mark.parametrize("variations", [1, 3])
def test_e9_a_dense_crop_counts_its_area_against_the_whole_canvas(variations: int) -> None:
    side, box = 512, Box(300, 300, 330, 330)
    source = source_of(photo(side, side), mask_in(side, side, box), preset(), variations=variations)
    context = source.plan.context
    assert context.area < side * side / 4
    with Watched(PixelAdapter()) as watched:
        cost = ran(watched, source)
    assert cost.cells == context.area * STEPS * variations
    assert cost.cells_of == side * side * STEPS * variations
    assert (cost.tiles, cost.tiles_of) == (1, 4)
    assert (cost.encoded, cost.decoded) == (None, None), "there is no autoencoder to speak of"


def test_e9_the_tiles_of_a_large_region_are_counted_and_the_canvas_once_for_all_of_them() -> None:
    facts = preset(max_side=128, min_side=32, most_tiles={"balanced": 64})
    source = source_of(photo(640, 640), mask_in(640, 640, Box(100, 100, 400, 400)), facts)
    with Watched(PixelAdapter(facts)) as watched:
        cost = ran(watched, source)
    stages, ratio = source.plan.stages, 640 * 640 / source.plan.context.area
    assert len(stages) > 1 and len(stages[-1].tiles) > 1
    assert cost.cells == sum(tile.area * stage.steps for stage in stages for tile in stage.tiles)
    assert cost.cells_of == pytest.approx(sum(s.width * s.height * s.steps for s in stages) * ratio, abs=1)


def test_e9_tiles_that_the_box_of_a_stroke_touches_and_the_stroke_does_not_are_not_counted() -> None:
    side = 1024
    mask = np.zeros((side, side), np.uint8)
    for at in range(60, 960, 4):
        mask[at : at + 24, at : at + 24] = 255
    source = source_of(photo(side, side), mask, preset(max_side=1024))
    with Watched(PixelAdapter()) as watched:
        cost = ran(watched, source)
    assert 4 <= cost.tiles < cost.tiles_of == 16


@tiny
def test_e9_the_second_edit_of_a_place_tells_the_cells_and_the_part_of_the_coders_work_that_it_took() -> None:
    facts = Preset(
        name="tiny", native=128, min_side=64, max_side=128, sampler="euler", reuses=True, grow_scale=0.1,
        steps={"balanced": STEPS},
    )  # fmt: skip
    picture, mask = photo(128, 128), mask_in(128, 128, Box(40, 40, 64, 64))
    with Watched(SdAdapter(sd_pipeline(9), facts), memory=Memory()) as watched:
        first = ran(watched, source_of(picture, mask, facts, id="first"))
        second = ran(watched, source_of(picture, mask, facts, id="second", seed=8))
    cells = 16 * 16 * STEPS
    assert (first.cells, first.cells_of, second.cells_of) == (cells, cells, cells)
    assert first.encoded is not None and first.encoded >= 1.0
    assert first.saved_ms is not None, "the first pass over everything was timed"
    assert 0 < second.cells < cells / 2
    assert second.encoded == 0.0, "what stands there, and what of it the network is shown, is remembered"
    assert second.decoded is not None and second.decoded <= 1.0


def test_e9_a_whole_pass_is_told_to_take_no_more_than_those_that_were_timed_say() -> None:
    yardstick = Yardstick()
    assert yardstick.least(100) is None
    yardstick.note(100, 3.0)
    yardstick.note(100, 2.0)
    yardstick.note(100, 5.0)
    assert yardstick.least(100) == 2.0, "the quickest counts"
    assert yardstick.least(400) == 2.0, "of one size alone nobody can say what more cells would take"
    assert yardstick.least(50) == 1.0
    yardstick.note(200, 3.0)
    assert yardstick.least(400) == 5.0, "a cell adds what it added between the sizes that were seen"
    yardstick.note(300, 1.0)
    assert yardstick.least(400) == 1.0, "a larger pass that was quicker makes the smaller ones no measure"
    for size in range(1000, 1000 + 2 * MOST_SIZES):
        yardstick.note(size, 1.0)
    assert yardstick.least(100) != 2.0, "only so many sizes are remembered"


def step(owner: str, cells: int, computed: float = 1.0, cells_of: float = 100.0) -> Step:
    return Step(owner, cells, cells_of, computed, is_guided=False)


def test_e9_nothing_is_told_of_time_before_a_whole_pass_was_timed_and_company_shares_a_calls_time() -> None:
    meter = Meter()
    meter.stepped([step("a", 100, 0.1), step("b", 100, 0.3)], 1.0)
    assert (meter.take("a").saved_s, meter.take("b").saved_s) == (None, None)
    meter.stepped([step("whole", 100)], 2.0)
    meter.stepped([step("a", 100, 0.1), step("b", 100, 0.3)], 1.0)
    assert meter.take("a").saved_s == pytest.approx(2.0 - 0.25)
    assert meter.take("b").saved_s == pytest.approx(2.0 - 0.75)
    assert meter.take("whole").saved_s == 0.0
    meter.decoded("a", 100, 100.0, Work(asked=1, done=0.5), 1.0)
    spent = meter.take("a")
    assert spent.saved_s is None, "only a part was ever decoded"
    assert spent.decoded.share == 0.5
    meter.check_integrity()


def test_e9_what_is_kept_of_an_edit_that_is_gone_is_found_when_idle() -> None:
    meter = Meter()
    meter.stepped([step("a", 100)], 1.0)
    with pytest.raises(AssertionError, match="'a'"):
        meter.check_integrity()
