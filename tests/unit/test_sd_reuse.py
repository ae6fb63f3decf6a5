"""Stable Diffusion computes what an edit changes: what is recorded, when it is used, and when it is not (E7, E9)."""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from nanobana.protocol.geometry import Box
from nanobana_engine.memory import Memory
from nanobana_engine.memory.cache import Cache
from nanobana_engine.memory.ledger import Ledger
from nanobana_engine.models.base import Request
from nanobana_engine.models.preset import Preset
from nanobana_engine.models.sd.adapter import SdAdapter
from nanobana_engine.models.sd.recordings import Kept, Recordings
from nanobana_engine.models.sd.scene import Scene, content_of
from nanobana_engine.models.sd.xl import SdxlAdapter
from nanobana_engine.runner import Pass, Runner
from nanobana_engine.sparse.record import Record
from support.tiny import sd_pipeline, sdxl_pipeline

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
WIDTH, HEIGHT = 128, 96
ROWS, COLUMNS = HEIGHT // 8, WIDTH // 8
PRESET = Preset(
    name="tiny", native=128, min_side=64, max_side=128, sampler="euler", reuses=True, latent_stride=8, multiple=16
)
STEPS = 3
LEFT, RIGHT = Box(16, 16, 48, 40), Box(88, 48, 112, 72)


def adapter_of(make: Callable[..., Any] = sd_pipeline, **changes: Any) -> SdAdapter:
    kind = SdxlAdapter if make is sdxl_pipeline else SdAdapter
    return kind(make(9), replace(PRESET, **changes))


def canvas(seed: int = 1) -> Any:
    return np.random.default_rng(seed).random((HEIGHT, WIDTH, 3), np.float32)


def request(box: Box = LEFT, **changes: Any) -> Request:
    mask = np.zeros((HEIGHT, WIDTH), np.float32)
    mask[box.y0 : box.y1, box.x0 : box.x1] = 1.0
    facts: dict[str, Any] = {"pixels": canvas(), "mask": mask, "user_mask": mask, "prompt": "a red apple", "seed": 5}
    facts = {**facts, "room": "r", **changes}
    return Request(**facts)


class Bench:
    """Runs edits on one adapter and tells what was computed of each."""

    def __init__(self, adapter: SdAdapter) -> None:
        self.adapter = adapter
        self.runner = Runner(adapter)

    def start(self, asked: Request, guidance: float = 1.0) -> Pass:
        size = (WIDTH, HEIGHT)
        return self.runner.start(
            asked, owner="e", steps=STEPS, guidance=guidance, stage=0, frame=size, tile=Box(0, 0, *size)
        )

    def run(self, *asked: Request, guidance: float = 1.0) -> tuple[list[Tensor], int]:
        """The final latents, and how many cells were computed in sparse passes."""
        passes = [self.start(each, guidance) for each in asked]
        before = self.adapter.computed_cells
        while not passes[0].is_done:
            self.runner.advance(passes)
        return [one.latents for one in passes], self.adapter.computed_cells - before


def around(box: Box, by: int = 1) -> int:
    """Cells of a box and around it."""
    return (box.width // 8 + 2 * by) * (box.height // 8 + 2 * by)


@pytest.mark.parametrize("make", [sd_pipeline, sdxl_pipeline])
@pytest.mark.parametrize("guidance", [1.0, 4.0])
def test_e9_the_second_edit_of_a_place_computes_its_mask_and_little_more(make: Any, guidance: float) -> None:
    bench = Bench(adapter_of(make))
    (first,), computed = bench.run(request(), guidance=guidance)
    assert computed == 0
    (again,), computed = bench.run(request(), guidance=guidance)
    assert computed == around(LEFT) * STEPS * (2 if guidance > 1 else 1)
    assert (again - first).abs().max() < 0.01 * first.abs().max(), "asked for again it is what it was"
    (other,), _ = bench.run(request(seed=6, prompt="a tree in snow"), guidance=guidance)
    cells = Box(LEFT.x0 // 8, LEFT.y0 // 8, LEFT.x1 // 8, LEFT.y1 // 8)
    inside = other[:, cells.y0 : cells.y1, cells.x0 : cells.x1]
    assert (inside - first[:, cells.y0 : cells.y1, cells.x0 : cells.x1]).abs().max() > 0.1


def test_e9_the_first_edit_of_a_place_is_exactly_as_without_reuse() -> None:
    whole = Bench(adapter_of(encodes_parts=False))
    forgetful = Bench(adapter_of(encodes_parts=False))
    forgetful.adapter.remember_in(Memory(cache_bytes=0))
    (ours,), _ = whole.run(request())
    for _ in range(2):
        (theirs,), computed = forgetful.run(request())
        assert computed == 0
        assert torch.equal(ours, theirs)


def test_e9_what_an_edit_painted_is_computed_again_by_the_next_and_then_no_more() -> None:
    bench = Bench(adapter_of())
    bench.run(request(LEFT))
    _, computed = bench.run(request(RIGHT))
    assert computed == (around(LEFT) + around(RIGHT)) * STEPS, "the canvas shows nothing of the first: it was discarded"
    _, computed = bench.run(request(RIGHT))
    assert computed == around(RIGHT) * STEPS


def test_e9_an_edit_in_which_only_the_mask_is_new_leaves_the_record_of_what_stands_there() -> None:
    bench = Bench(adapter_of())
    bench.run(request(LEFT))
    bench.run(request(LEFT.grow(8)))
    _, computed = bench.run(request(RIGHT))
    assert computed == (around(LEFT) + around(RIGHT)) * STEPS, "what the wider one painted is not in the record"


def test_e9_a_canvas_that_changed_underneath_is_computed_where_it_changed() -> None:
    bench = Bench(adapter_of())
    bench.run(request(LEFT))
    changed = canvas()
    changed[80:88, 120:128] += np.float32(1e-6)
    _, computed = bench.run(request(LEFT, pixels=changed))
    assert computed == (around(LEFT) + 3 * 2) * STEPS, "a cell at the border and its neighbours"


def test_e9_a_record_of_another_picture_is_never_used() -> None:
    fresh, bench = Bench(adapter_of()), Bench(adapter_of())
    bench.run(request(pixels=canvas(1)))
    (ours,), computed = bench.run(request(pixels=canvas(2)))
    (theirs,), _ = fresh.run(request(pixels=canvas(2)))
    assert computed == 0
    assert torch.equal(ours, theirs)


def test_e9_nothing_is_reused_across_rooms() -> None:
    bench = Bench(adapter_of())
    bench.run(request())
    assert bench.run(request(room="another"))[1] == 0
    assert bench.run(request())[1] > 0


def test_e9_an_edit_of_most_of_a_picture_is_neither_recorded_nor_run_sparse() -> None:
    bench = Bench(adapter_of())
    most = Box(0, 0, WIDTH, HEIGHT * 3 // 4)
    bench.run(request(most))
    assert bench.run(request(LEFT))[1] == 0
    assert bench.run(request(most))[1] == 0


def test_e9_of_several_variations_the_first_is_recorded_and_the_others_run_beside_it() -> None:
    bench = Bench(adapter_of())
    asked = [request(seed=5 + n, variation=n) for n in range(4)]
    latents, computed = bench.run(*asked)
    assert computed == 3 * around(LEFT) * STEPS
    assert len({float(each.sum()) for each in latents}) == 4


def test_e7_edits_of_other_rooms_and_places_share_calls_and_come_out_as_alone() -> None:
    together, alone = Bench(adapter_of(reuse_without=("writes",))), Bench(adapter_of(reuse_without=("writes",)))
    asked = [request(LEFT, room="a"), request(RIGHT, room="b", prompt="a tree"), request(RIGHT, room="a", seed=8)]
    for bench in (together, alone):
        for each in asked[:2]:
            bench.run(each)
    packed, _ = together.run(*asked)
    for ours, each in zip(packed, asked, strict=True):
        (theirs,), _ = alone.run(each)
        assert (ours - theirs).abs().max() < 1e-4 * theirs.abs().max()


def test_e7_an_edit_costs_what_it_computes() -> None:
    bench = Bench(adapter_of())
    native = ROWS * COLUMNS / (128 / 8) ** 2
    assert bench.runner.cost(bench.start(request())) == pytest.approx(native)
    bench.run(request())
    assert bench.runner.cost(bench.start(request())) == pytest.approx(native * around(LEFT) / (ROWS * COLUMNS))


def test_e9_around_an_edit_the_noise_is_the_same_whatever_its_seed() -> None:
    bench = Bench(adapter_of())
    one, other = bench.start(request(seed=1)), bench.start(request(seed=2))
    outside = (one.depth == 0).expand_as(one.noise)
    assert torch.equal(one.noise[outside], other.noise[outside])
    assert (one.noise != other.noise)[~outside].all()


def test_e9_a_network_that_is_not_known_runs_dense_and_says_so_once(caplog: pytest.LogCaptureFixture) -> None:
    bench, plain = Bench(adapter_of()), Bench(adapter_of())
    bench.adapter.unet.mid_block.resnets[0].gate = torch.nn.Linear(2, 2)
    with caplog.at_level(logging.WARNING):
        answers = [bench.run(request())[0][0] for _ in range(2)]
    for answer in answers:
        torch.testing.assert_close(answer, plain.run(request())[0][0])
        plain = Bench(adapter_of())
    assert bench.adapter.computed_cells == 0
    (said,) = caplog.records
    assert "mid_block.resnets.0" in said.getMessage()


def test_e9_a_block_that_behaves_otherwise_than_it_looks_is_found_out_before_it_is_used(
    caplog: pytest.LogCaptureFixture,
) -> None:
    bench = Bench(adapter_of())
    resnet = bench.adapter.unet.up_blocks[0].resnets[0]
    forward = resnet.forward
    resnet.forward = lambda *given, **more: forward(*given, **more) * 1.2  # a later version's other formula
    with caplog.at_level(logging.WARNING):
        answers = [bench.run(request())[0][0] for _ in range(2)]
    assert torch.equal(answers[0], answers[1])
    assert bench.adapter.computed_cells == 0
    assert len(caplog.records) == 1


def test_e9_records_of_twenty_rooms_stay_within_their_bytes_and_the_room_used_last_stays() -> None:
    ledger = Ledger(10_000)
    recordings = Recordings(cache := Cache[Hashable, Kept](ledger, "activations", 10_000), "m")
    masked = torch.zeros((2, 2), dtype=torch.bool)
    dice = np.random.default_rng(0)
    scene = Scene("r0", torch.zeros((2, 2), dtype=torch.int64), masked)
    for n in range(1000):
        room = f"r{dice.integers(20)}"
        content = torch.full((2, 2), int(dice.integers(3)))
        scene = Scene(room, content, masked)
        if recordings.find(scene, "kind") is None or n % 3 == 0:
            recordings.add(scene, "kind", Record(planes={"a": torch.zeros(int(dice.integers(1, 400)))}))
        cache.check_integrity()
        ledger.check_integrity()
        assert ledger.used_bytes <= 10_000
        assert recordings.find(scene, "kind") is not None, "the newest room is there"
    assert 0 < len(recordings) <= len(cache)
    ledger.drop_caches()
    assert len(recordings) == 0
    assert recordings.find(scene, "kind") is None


def test_e9_the_content_of_a_cell_is_every_bit_of_its_pixels() -> None:
    pixels = canvas()
    before = content_of(pixels, 8)
    assert before.shape == (ROWS, COLUMNS)
    assert len(set(before.flatten().tolist())) == ROWS * COLUMNS
    pixels[41, 70, 1] = np.nextafter(pixels[41, 70, 1], np.float32(2.0))
    changed = (content_of(pixels, 8) != before).nonzero().tolist()
    assert changed == [[41 // 8, 70 // 8]]
