"""Regions larger than any picture a model sees: stages, tiles, seams, what is held, and stopping (E3, E5, E8)."""

import tracemalloc
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from scipy.ndimage import distance_transform_edt

from nanobana.protocol.geometry import Box
from nanobana.protocol.parameters import EditParams
from nanobana.raster.pixels import Rgba
from nanobana_engine.engine import EditFinished, EditPart, EditProgress, Engine, Source
from nanobana_engine.engine.edit import EditRun
from nanobana_engine.engine.events import EditEvent
from nanobana_engine.models.base import Pixels, Request
from nanobana_engine.planner import plan_edit
from nanobana_engine.planner.detail import BANK_BYTES
from nanobana_engine.planner.plan import lay
from nanobana_engine.planner.soft import allowed
from nanobana_engine.runner import Runner
from support.adapters import PaintAdapter, PixelAdapter, preset
from support.edits import Watched, edited, laid_in_parts, photo, source_of

FACTS = preset(native=128, min_side=64, max_side=256, tile_side=256)
SIZE, WHOLE = (1300, 560), 100_000
"""Over the border of a part, and far above what is held as one picture here."""


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def ragged(width: int, height: int) -> np.ndarray:
    """A mask over most of a canvas, round and with a bay."""
    y, x = np.mgrid[:height, :width]
    inside = ((x - width / 2) / (0.46 * width)) ** 2 + ((y - height / 2) / (0.44 * height)) ** 2 < 1
    inside[: height // 2, width // 2 - 60 : width // 2 + 60] = False
    return np.where(inside, np.uint8(255), np.uint8(0))


def inner(source: Source) -> np.ndarray:
    """Where the colours of the surroundings have no say any more."""
    mask = np.zeros(SIZE[::-1], np.uint8)
    lay(mask, Box(0, 0, *SIZE), source.plan.mask, source.plan.mask_box)
    return np.asarray(distance_transform_edt(mask) > 40)


class GrainyAdapter(PixelAdapter):
    """Answers every tile with what it refines, each tile lighter or darker than its neighbours."""

    def answer(self, request: Request) -> Pixels:
        if request.previous is None:
            gray: Pixels = np.full_like(request.pixels, 0.5)
            return gray
        assert request.mask_box is not None
        drift = np.float32(0.08 if round(request.mask_box[0]) % 3 else -0.08)
        drifted: Pixels = np.clip(request.previous + drift, 0, 1).astype(np.float32)
        return drifted


def test_e3_tiles_meet_without_a_seam_though_each_drifts_another_way() -> None:
    flat = np.full((SIZE[1], SIZE[0], 4), 128, np.uint8)
    flat[..., 3] = 255
    after, source = edited(GrainyAdapter(FACTS), flat, ragged(*SIZE), quality="best", whole=WHOLE)
    assert [stage.name for stage in source.plan.stages] == ["layout", "rough", "detail"]
    assert (after[..., :3][inner(source)] == 128).all()


def test_e5_of_a_big_region_0_pixels_change_where_c_is_0_over_all_tiles_and_parts() -> None:
    picture, mask = photo(*SIZE), ragged(*SIZE)
    after, source = edited(PaintAdapter((0.2, 0.5, 0.8), FACTS), picture, mask, quality="best", whole=WHOLE)
    changed = (after != picture).any(axis=-1)
    assert not changed[~allowed(mask, source.plan.reach)].any()
    assert np.abs(after[..., :3][inner(source)].astype(int) - [51, 128, 204]).max() <= 4


def test_e5_with_an_exact_edge_a_big_region_changes_in_its_mask_only_and_at_any_quality() -> None:
    picture, mask = photo(*SIZE), ragged(*SIZE)
    for quality in ("draft", "best"):
        after, _ = edited(
            PaintAdapter((1.0, 0.0, 1.0), FACTS), picture, mask, exact_edge=True, quality=quality, whole=WHOLE
        )
        assert np.array_equal((after != picture).any(axis=-1), mask > 0)


def test_e3_what_a_model_returns_unchanged_is_the_canvas_but_for_a_little_at_the_edge() -> None:
    picture, mask = photo(*SIZE), ragged(*SIZE)
    after, source = edited(PixelAdapter(FACTS), picture, mask, quality="best", whole=WHOLE)
    assert np.abs(after.astype(int) - picture).max() <= 8
    assert np.array_equal(after[inner(source)], picture[inner(source)])


def test_e3_progress_names_the_stage_and_counts_its_tiles() -> None:
    source = source_of(photo(*SIZE), ragged(*SIZE), FACTS, quality="best", whole=WHOLE)
    with Watched(PaintAdapter((0.2, 0.5, 0.8), FACTS)) as watched:
        watched.finish(source)
    told = watched.steps("edit")
    assert list(dict.fromkeys(each.stage for each in told)) == ["layout", "rough", "detail"]
    tiles = [(each.tile, each.tiles) for each in told if each.stage == "detail"]
    assert tiles == sorted(tiles)
    assert tiles[0][0] == 0
    assert tiles[-1][0] < tiles[-1][1] == len(source.plan.stages[-1].tiles)
    assert all(each.picture is not None and max(each.picture.shape) <= 512 for each in told)
    assert [each.step for each in told] == sorted(each.step for each in told)


def test_e3_variations_of_a_big_region_come_in_the_same_parts() -> None:
    adapter = PaintAdapter((0.2, 0.5, 0.8), FACTS)
    picture = photo(*SIZE)
    source = source_of(picture, ragged(*SIZE), FACTS, variations=2, quality="draft", whole=WHOLE)
    with Watched(adapter) as watched:
        watched.finish(source)
        parts = watched.parts("edit")
    first, second = (sorted((p.box.y0, p.box.x0) for p in parts if p.variation == n) for n in (0, 1))
    assert first == second
    assert len(first) == 2
    assert np.array_equal(laid_in_parts(picture, parts, 0), laid_in_parts(picture, parts, 1))


@dataclass(frozen=True)
class Endless:
    """A context of any size that takes no memory; remembers the largest piece that was read of it."""

    size: tuple[int, int]
    largest: list[int]

    def read(self, box: Box) -> Rgba:
        self.largest[0] = max(self.largest[0], box.area)
        piece = np.full((box.height, box.width, 4), 255, np.uint8)
        piece[..., :3] = (np.arange(box.x0, box.x1) * 7 % 97 + 80).astype(np.uint8)[None, :, None]
        return piece


def big_source(width: int, height: int, largest: list[int]) -> Source:
    edit = EditParams(box=Box(0, 0, width, height), seed=1, quality="best")
    mask = np.zeros((height, width), np.uint8)
    mask[100:-100, 100:-100] = 255
    plan = plan_edit(mask, edit, (width, height), FACTS, whole=WHOLE)
    view = Endless((plan.context.width, plan.context.height), largest)
    return Source(id="big", canvas="c", user="ana", edit=edit, plan=plan, view=view)


def held_by(width: int, height: int) -> tuple[int, int]:
    """Most bytes held at once in numpy and Python while an edit runs, and the largest piece that was read."""
    largest = [0]

    def take(event: EditEvent) -> None:
        if isinstance(event, EditPart):
            event.part.patch()
        ended.extend([event] if isinstance(event, EditFinished) else [])

    ended: list[EditEvent] = []
    engine = Engine(PaintAdapter((0.2, 0.5, 0.8), FACTS), take)
    tracemalloc.start()
    try:
        engine.submit(big_source(width, height, largest))
        engine.receive()
        while engine.step():
            pass
        assert ended
        return tracemalloc.get_traced_memory()[1], largest[0]
    finally:
        tracemalloc.stop()


def test_e3_at_any_moment_some_tiles_run_and_some_wait_for_their_neighbours_whatever_the_region(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("nanobana_engine.engine.stage.IN_FLIGHT", 2 * 256 * 256)
    monkeypatch.setattr("nanobana_engine.engine.parts.SIDE", 256)
    source = big_source(2800, 800, [0])
    run = EditRun(source, Runner(PaintAdapter((0.2, 0.5, 0.8), FACTS)))
    run.first_look()
    begun, kept = [], []
    while not run.is_done:
        run.begin_stage()
        begun.append(len(run.parts))
        for part in run.parts.values():
            while not part.one.is_done:
                run.runner.advance([part.one])
        run.end_stage()
        run.ready.clear()
        kept.append(run.held_tiles)
    assert max(begun) == 2
    assert max(kept) < 2.5 * 2800 / 192, "two rows of tiles at the most"
    assert kept[-1] == 0


@pytest.mark.soak
@pytest.mark.timeout(300)
def test_e3_what_is_held_is_bounded_by_the_tile_and_not_by_the_region() -> None:
    (small, piece), (large, large_piece) = held_by(2300, 1900), held_by(4600, 1900)
    assert max(piece, large_piece) < 1400 * 1400
    extra = (4600 - 2300) * 1900
    # a byte of mask, three at most of its encoded tile, one for rows of finished tiles, and a bank that may be empty or
    # full: no planes of floats, which would be dozens of bytes a pixel
    assert large < small + 5 * extra + BANK_BYTES


def test_e8_a_big_region_can_be_stopped_in_the_middle_of_its_preparation() -> None:
    reads: list[int] = []

    class Stopping(Endless):
        def read(self, box: Box) -> Rgba:
            reads.append(box.area)
            if len(reads) == 2:
                engine.cancel("big")
            return super().read(box)

    told: list[EditEvent] = []
    engine = Engine(PaintAdapter((0.2, 0.5, 0.8), FACTS), told.append)
    source = big_source(2800, 1200, [0])
    object.__setattr__(source, "view", Stopping(source.view.size, [0]))
    engine.submit(source)
    engine.receive()
    engine.step()
    engine.receive()
    assert not engine.step()
    assert len(reads) == 2
    assert not any(isinstance(event, (EditProgress, EditFinished)) for event in told)
