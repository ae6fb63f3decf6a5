"""Out of memory: fewer at a time, then smaller, then a failure that says what to change; nobody else notices (E10)."""

from collections.abc import Sequence

import numpy as np
import pytest
import torch

from nanobana.protocol.geometry import Box
from nanobana_engine.engine import EditFailed, EditFinished
from nanobana_engine.engine.smaller import smaller
from nanobana_engine.models.base import Item, Pixels
from nanobana_engine.runner.short import is_short
from support.adapters import PaintAdapter, PixelAdapter, preset
from support.edits import Watched, laid, mask_in, photo, source_of

PICTURE = photo(200, 200)
MASK = mask_in(200, 200, Box(70, 70, 130, 120))
ERRORS = [
    torch.OutOfMemoryError("CUDA out of memory"),
    MemoryError(),
    RuntimeError("DefaultCPUAllocator: can't allocate memory"),
]


class NarrowAdapter(PaintAdapter):
    """Has memory for so many pixels a call and no more."""

    def __init__(self, pixels: int, *, decodes: int | None = None, error: Exception = ERRORS[0]) -> None:
        super().__init__((0.9, 0.1, 0.1), preset(native=128, max_side=256))
        self.pixels = pixels
        self.decodes = decodes or pixels
        self.error = error

    def _needs(self, pixels: int, most: int) -> None:
        if pixels > most:
            raise self.error

    def denoise(self, items: Sequence[Item]) -> list[torch.Tensor]:
        self._needs(sum(item.latents[0].numel() for item in items), self.pixels)
        return super().denoise(items)

    def decode(self, latents: torch.Tensor) -> Pixels:
        self._needs(latents[0].numel(), self.decodes)
        return super().decode(latents)


def area_of(adapter: PixelAdapter) -> int:
    """Pixels of the edit's only tile."""
    (stage,) = source_of(PICTURE, MASK, adapter.preset).plan.stages
    return stage.width * stage.height


@pytest.mark.parametrize("error", ERRORS, ids=["device", "python", "torch on the CPU"])
def test_e10_a_call_that_runs_out_of_memory_is_made_with_fewer_items(error: Exception) -> None:
    one = area_of(PixelAdapter(preset(native=128, max_side=256)))
    wide, narrow = NarrowAdapter(100 * one), NarrowAdapter(one, error=error)
    with Watched(wide, budget=100) as watched:
        expected = watched.finish(source_of(PICTURE, MASK, wide.preset, variations=3)).patches()
    with Watched(narrow, budget=100) as watched:
        got = watched.finish(source_of(PICTURE, MASK, narrow.preset, variations=3)).patches()
    assert set(wide.calls) == {3}
    assert set(narrow.calls) == {1}
    assert all(np.array_equal(a, b) for a, b in zip(expected, got, strict=True))


def test_e10_an_edit_that_does_not_fit_is_made_smaller_once() -> None:
    adapter = NarrowAdapter(area_of(PixelAdapter(preset(native=128, max_side=256))) // 2)
    source = source_of(PICTURE, MASK, adapter.preset)
    with Watched(adapter) as watched:
        end = watched.finish(source)
    after = laid(PICTURE, source, end.patches()[0])
    assert np.abs(after[90:100, 90:110, :3].astype(int) - [230, 26, 26]).max() <= 12
    outside = np.ones((200, 200), bool)
    box = source.plan.result
    outside[box.y0 : box.y1, box.x0 : box.x1] = False
    assert np.array_equal(after[outside], PICTURE[outside])


def test_e10_a_picture_too_large_to_decode_is_made_smaller() -> None:
    one = area_of(PixelAdapter(preset(native=128, max_side=256)))
    adapter = NarrowAdapter(one, decodes=one // 2)
    with Watched(adapter) as watched:
        watched.finish(source_of(PICTURE, MASK, adapter.preset))


def test_e10_an_edit_that_fits_at_no_size_says_what_to_change_and_harms_nobody() -> None:
    adapter = NarrowAdapter(64 * 64)
    large, small = mask_in(200, 200, Box(10, 10, 190, 190)), mask_in(200, 200, Box(100, 100, 104, 104))
    fits = source_of(PICTURE, small, preset(native=128, max_side=256, grow_scale=0.05), id="fits", user="ben")
    (stage,) = fits.plan.stages
    assert stage.width * stage.height <= 64 * 64
    with Watched(adapter) as watched:
        watched.engine.submit(source_of(PICTURE, large, adapter.preset, id="huge"))
        watched.engine.submit(fits)
        failed = watched.wait_for(EditFailed, "huge")
        watched.wait_for(EditFinished, "fits")
    assert failed.code == "out_of_memory"
    assert "smaller region" in failed.message


def test_e10_smaller_keeps_box_and_masks_and_halves_what_runs_at_a_time() -> None:
    facts = preset(native=128, max_side=256)
    source = source_of(PICTURE, MASK, facts)
    less = smaller(source, facts)
    assert less is not None
    assert less.plan.result == source.plan.result
    assert less.plan.planes is source.plan.planes
    before = max(max(tile.width, tile.height) for stage in source.plan.stages for tile in stage.tiles)
    assert max(max(tile.width, tile.height) for stage in less.plan.stages for tile in stage.tiles) <= before // 2


def test_other_errors_are_no_want_of_memory() -> None:
    assert not is_short(RuntimeError("shapes do not match"))
