"""What must hold of recorded passes whatever happens: their bytes, and that nothing stale or damaged is used (E9)."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from nanobana.protocol.geometry import Box
from nanobana_engine.memory import Memory
from nanobana_engine.models.base import Pixels, Request
from nanobana_engine.models.preset import Preset
from nanobana_engine.models.sd.adapter import SdAdapter
from nanobana_engine.models.sd.recordings import Kept
from nanobana_engine.runner import Runner
from support.tiny import sd_pipeline

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
WIDTH, HEIGHT, STEPS = 128, 96, 3
ROWS, COLUMNS = HEIGHT // 8, WIDTH // 8
PRESET = Preset(name="tiny", native=128, min_side=64, max_side=128, sampler="euler", reuses=True)
HOLE, CHANGED = Box(16, 16, 48, 40), Box(88, 48, 112, 72)


def adapter_of(memory: Memory) -> SdAdapter:
    adapter = SdAdapter(sd_pipeline(9), PRESET)
    adapter.remember_in(memory)
    return adapter


def canvas(seed: int = 1) -> Pixels:
    pixels: Pixels = np.random.default_rng(seed).random((HEIGHT, WIDTH, 3), np.float32)
    return pixels


def ran(adapter: SdAdapter, pixels: Pixels, box: Box = HOLE, **changes: Any) -> tuple[Tensor, Pixels]:
    """The final latents of an edit, and its picture."""
    mask = np.zeros((HEIGHT, WIDTH), np.float32)
    mask[box.y0 : box.y1, box.x0 : box.x1] = 1.0
    facts: dict[str, Any] = {"pixels": pixels, "mask": mask, "user_mask": mask, "prompt": "a red apple", "room": "r"}
    runner, whole = Runner(adapter), (WIDTH, HEIGHT)
    one = runner.start(
        Request(**{**facts, **changes}),
        owner="e", steps=STEPS, guidance=1.0, stage=0, frame=whole, tile=Box(0, 0, *whole),
    )  # fmt: skip
    while not one.is_done:
        runner.advance([one])
    picture = runner.decode(one)
    runner.take_spent("e")
    runner.check_integrity()
    return one.latents, picture


def kept(memory: Memory) -> list[Kept]:
    """What is recorded of the first edit's room."""
    cache = memory.device_cache("activations", 0.0)
    found = (cache.get(("tiny", "r", number)) for number in range(STEPS))
    return [each for each in found if each is not None]


@torch.inference_mode()
def damage(recorded: Kept, where: Tensor) -> int:
    """Make nonsense of all that is recorded of some cells [h, w], at every level; how many planes were reached."""
    recorded.record.output[:, where] = math.nan
    record = recorded.record
    planes = [*record.planes.values(), *record.keys.values(), *record.values.values()]
    for plane in planes:
        coarse = where
        while coarse.numel() > len(plane):
            coarse = coarse.view(coarse.shape[0] // 2, 2, coarse.shape[1] // 2, 2).any(dim=3).any(dim=1)
        assert coarse.numel() == len(plane)
        plane[coarse.flatten()] = math.nan
    return len(planes)


def cells_of(*boxes: Box) -> Tensor:
    cells = torch.zeros((ROWS, COLUMNS), dtype=torch.bool)
    for box in boxes:
        cells[box.y0 // 8 : box.y1 // 8, box.x0 // 8 : box.x1 // 8] = True
    return cells


def test_e9_nothing_that_is_recorded_of_changed_or_painted_cells_is_ever_read() -> None:
    changed = canvas()
    changed[CHANGED.y0 : CHANGED.y1, CHANGED.x0 : CHANGED.x1] = 0.5
    answers = []
    for is_damaged in (False, True):
        adapter = adapter_of(memory := Memory())
        ran(adapter, canvas())
        recorded = kept(memory)
        assert len(recorded) == STEPS
        for each in recorded if is_damaged else ():
            assert damage(each, cells_of(HOLE, CHANGED)) > 10
        before = adapter.computed_cells
        latents, _ = ran(adapter, changed, seed=9)
        assert adapter.computed_cells - before == STEPS * (6 * 5 + 5 * 5), "both places, and a cell around each"
        answers.append(latents)
    assert torch.isfinite(answers[1]).all()
    assert torch.equal(*answers)


def test_e9_damage_elsewhere_would_have_been_seen() -> None:
    adapter = adapter_of(memory := Memory())
    ran(adapter, canvas())
    for each in kept(memory):
        damage(each, cells_of(CHANGED))
    latents, _ = ran(adapter, canvas(), seed=9)
    assert not torch.isfinite(latents).all(), "what is not changed is read: the test above can fail"


def life(edits: int, rooms: int) -> Iterator[tuple[Memory, SdAdapter, str]]:
    """Edits here and there, of which half are accepted, in caches that hold the passes of three rooms."""
    adapter = adapter_of(probe := Memory())
    ran(adapter, canvas())
    window = probe.device.used_by("activations")
    adapter = adapter_of(memory := Memory(cache_bytes=int(window * 3.5 / 0.6)))
    dice = np.random.default_rng(0)
    pictures = {f"r{n}": canvas(n) for n in range(rooms)}
    for n in range(edits):
        room = f"r{dice.integers(rooms)}"
        x, y = int(dice.integers(0, WIDTH - 40)), int(dice.integers(0, HEIGHT - 40))
        box = Box(x, y, x + int(dice.integers(8, 40)), y + int(dice.integers(8, 40)))
        _, picture = ran(adapter, pictures[room], box, room=room, seed=n)
        assert np.isfinite(picture).all()
        if n % 2:
            pictures[room] = pictures[room].copy()
            inside = (slice(box.y0, box.y1), slice(box.x0, box.x1))
            pictures[room][inside] = picture[inside]
        yield memory, adapter, room


@pytest.mark.parametrize(
    ("edits", "rooms"),
    [(24, 5), pytest.param(1000, 20, marks=[pytest.mark.soak, pytest.mark.timeout(900)])],
)
def test_e9_all_caches_stay_within_their_bytes_whatever_is_edited(edits: int, rooms: int) -> None:
    most, computed, seen = 0, 0, set()
    for memory, adapter, room in life(edits, rooms):
        memory.check_integrity()
        used = memory.device.used_by("activations")
        assert used <= 0.6 * memory.cache_bytes
        assert sum(cache.used_bytes for cache in memory.caches) <= memory.device.budget_bytes
        most, computed = max(most, used), adapter.computed_cells
        seen.add(room)
    assert most > 0.4 * memory.cache_bytes, "the budget was tried"
    assert computed > 0, "and used"
    assert len(seen) == rooms
