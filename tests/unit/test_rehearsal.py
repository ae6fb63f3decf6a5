"""A pass is recorded while a mask is painted and a prompt typed, below everything else, and by content only (E9)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from nanobana.protocol.geometry import Box
from nanobana_engine.engine import EditFinished, Source
from nanobana_engine.memory import Memory
from nanobana_engine.models.base import Request
from nanobana_engine.models.preset import Preset
from nanobana_engine.models.sd.adapter import SdAdapter
from nanobana_engine.runner import Runner
from support.edits import Watched, mask_in, photo, source_of
from support.tiny import sd_pipeline

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
SIDE, STEPS = 128, 4
PRESET = Preset(
    name="tiny", native=SIDE, min_side=64, max_side=SIDE, sampler="euler", reuses=True, grow_scale=0.1,
    steps={"balanced": STEPS},
)  # fmt: skip
DOT = Box(40, 40, 64, 64)


def adapter_of(memory: Memory | None = None, channels: int = 9, **changes: Any) -> SdAdapter:
    adapter = SdAdapter(sd_pipeline(channels), replace(PRESET, **changes))
    adapter.remember_in(memory or Memory())
    return adapter


def source(seed: int = 0, **edit: Any) -> Source:
    return source_of(photo(SIDE, SIDE, seed), mask_in(SIDE, SIDE, DOT), PRESET, **edit)


def request(seed: int = 1) -> Request:
    mask = np.zeros((SIDE, SIDE), np.float32)
    mask[DOT.y0 : DOT.y1, DOT.x0 : DOT.x1] = 1.0
    pixels = np.random.default_rng(seed).random((SIDE, SIDE, 3), np.float32)
    return Request(pixels=pixels, mask=mask, user_mask=mask, prompt="a red apple", seed=5, room="r")


def rehearsed(adapter: SdAdapter, asked: Request, goes_on: Callable[[], bool] = lambda: True) -> int:
    """Levels that were recorded."""
    return sum(1 for _ in Runner(adapter).rehearse(asked, STEPS, goes_on))


def ran(adapter: SdAdapter, asked: Request) -> tuple[torch.Tensor, int]:
    """Final latents of an edit, and the cells of it that were computed in sparse passes."""
    runner, before, whole = Runner(adapter), adapter.computed_cells, (SIDE, SIDE)
    one = runner.start(
        asked, owner="e", steps=STEPS, guidance=adapter.preset.guidance, stage=0, frame=whole, tile=Box(0, 0, *whole)
    )
    while not one.is_done:
        runner.advance([one])
    return one.latents, adapter.computed_cells - before


@pytest.mark.parametrize(("channels", "guidance"), [(9, 1.0), (4, 1.0), (9, 4.0)])
def test_e9_the_first_edit_of_a_place_that_was_foreseen_computes_its_mask_and_little_more(
    channels: int, guidance: float
) -> None:
    adapter = adapter_of(channels=channels, guidance=guidance)
    assert rehearsed(adapter, request()) == STEPS
    assert rehearsed(adapter, request()) == 0, "what is recorded is recorded"
    _, computed = ran(adapter, request())
    assert computed == 5 * 5 * STEPS * (2 if guidance > 1 else 1), "the dot's nine cells and those around"


def test_e9_a_foreseen_canvas_that_changed_underneath_is_never_used() -> None:
    adapter, fresh = adapter_of(), adapter_of()
    rehearsed(adapter, request(1))
    ours, computed = ran(adapter, request(2))
    theirs, _ = ran(fresh, request(2))
    assert computed == 0
    assert torch.equal(ours, theirs)


def test_e9_a_level_that_is_given_up_leaves_nothing_and_the_next_try_goes_on_where_it_was() -> None:
    adapter, wanted = adapter_of(), [True]
    calls: list[int] = []

    def call(*_: object) -> None:
        calls.append(len(calls))
        if len(calls) == 3:
            wanted.clear()

    whole: list[object] = []
    hooks = [
        adapter.unet.mid_block.register_forward_pre_hook(call),
        adapter.unet.conv_out.register_forward_pre_hook(lambda *_: whole.append(None)),
    ]
    assert rehearsed(adapter, request(), lambda: bool(wanted)) == 2
    assert (len(calls), len(whole)) == (3, 2), "the third pass ended in its middle"
    for hook in hooks:
        hook.remove()
    assert rehearsed(adapter, request()) == STEPS - 2


def test_e9_where_a_window_would_not_be_held_whole_only_its_size_is_found_out() -> None:
    probe = adapter_of()
    rehearsed(probe, request())
    assert probe.memory is not None
    one = probe.memory.device.used_by("activations") // STEPS
    memory = Memory(cache_bytes=int(one * 2.5 / 0.6))
    adapter = adapter_of(memory)
    assert rehearsed(adapter, request()) == 1
    memory.check_integrity()
    assert memory.device.used_by("activations") <= 0.6 * memory.cache_bytes


def test_e9_without_room_for_caches_nothing_is_rehearsed() -> None:
    assert rehearsed(adapter_of(Memory(cache_bytes=0)), request()) == 0
    assert rehearsed(adapter_of(reuses=False), request()) == 0


def test_e9_an_engine_rehearses_while_idle_and_the_edit_that_comes_is_sparse_from_its_first_step() -> None:
    adapter = adapter_of(memory := Memory())
    with Watched(adapter, memory=memory) as watched:
        watched.engine.foresee(source(id=""), lambda: True)
        watched.engine.submit(source())
        finished: EditFinished = watched.wait_for(EditFinished, "edit")
    assert 0 < finished.cost.cells == adapter.computed_cells
    assert finished.cost.cells < finished.cost.cells_of / 4


@pytest.mark.parametrize("lane", ["live", "batch"])
def test_e9_a_rehearsal_ends_in_the_middle_of_a_pass_for_an_edit_of_either_lane(lane: str) -> None:
    adapter = adapter_of(memory := Memory())
    done: list[bool] = []
    """By pass of the network that came to its end: whether the edit was finished by then."""
    with Watched(adapter, memory=memory) as watched:
        asked = source(seed=3, lane=lane)

        def interrupt(*_: object) -> None:
            hook.remove()
            watched.engine.submit(asked)

        def note(*_: object) -> None:
            done.append(any(isinstance(event, EditFinished) for event in watched.events))

        hook = adapter.unet.mid_block.register_forward_pre_hook(interrupt)
        end = adapter.unet.conv_out.register_forward_pre_hook(note)
        watched.engine.foresee(source(id=""), lambda: True)
        watched.wait_for(EditFinished, "edit")
        end.remove()
    assert done == [False] * STEPS + [True] * STEPS, "the edit's own passes, and then the rehearsal from its beginning"


def test_e9_a_rehearsal_that_nobody_wants_any_more_ends_by_itself() -> None:
    adapter = adapter_of(memory := Memory())
    wanted = [True]
    hook = adapter.unet.mid_block.register_forward_pre_hook(lambda *_: wanted.clear())
    with Watched(adapter, memory=memory) as watched:
        watched.engine.foresee(source(id=""), lambda: bool(wanted))
        hook.remove()
        watched.engine.submit(source())
        watched.wait_for(EditFinished, "edit")
    assert adapter.computed_cells == 0, "nothing was recorded of the pass that was given up"
