"""Several models in one engine under one budget: loaded when named, swapped when there is room for one only (E10)."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from nanobana.protocol.errors import NotFound
from nanobana.protocol.geometry import Box
from nanobana_engine.engine import EditFailed, EditFinished, Engine, Source
from nanobana_engine.engine.admission import OVERTAKES, call_bytes, held_bytes
from nanobana_engine.engine.events import EditEvent
from nanobana_engine.engine.residents import Loadable, Residents
from nanobana_engine.memory import Memory
from nanobana_engine.models.base import Component, ModelAdapter, Pixels
from nanobana_engine.models.needs import Needs, weight_bytes
from nanobana_engine.models.preset import Preset
from nanobana_engine.models.registry import Library
from nanobana_engine.runner import Runner
from support.adapters import PaintAdapter, PixelAdapter, preset
from support.edits import Watched, laid, mask_in, photo, source_of
from support.tiny import sd_pipeline

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")

PICTURE = photo(200, 200)
MASK = mask_in(200, 200, Box(70, 70, 130, 120))
SMALL, DOT = photo(64, 64), mask_in(64, 64, Box(28, 28, 36, 36))
RED, BLUE = (0.9, 0.1, 0.1), (0.1, 0.1, 0.9)
MB = 1 << 20


class Heavy(PaintAdapter):
    """One colour, weights of some bytes, and calls that are said to need some for every pixel."""

    def __init__(
        self, name: str, colour: tuple[float, float, float], calls: Needs | None = None, *, weights: int = 0
    ) -> None:
        super().__init__(colour, preset(name=name, native=128, max_side=256))
        self._calls = calls or Needs()
        self._net = torch.nn.Module()
        self._net.register_buffer("weights", torch.empty(weights, dtype=torch.uint8))

    def components(self) -> list[Component]:
        return [Component("net", self._net)]

    def needs(self, width: int, height: int) -> Needs:
        area = width * height
        return Needs(*(each * area for each in (self._calls.encode, self._calls.denoise, self._calls.decode)))


class Shop:
    """An engine with several models; counts what is loaded."""

    def __init__(self, models: dict[str, Callable[[], ModelAdapter]], sizes: dict[str, int], budget: int) -> None:
        self.memory = Memory(budget_bytes=budget, cache_bytes=MB)
        self.loads: list[str] = []
        self.gate = threading.Event()
        self.gate.set()

        def load(name: str) -> ModelAdapter:
            self.gate.wait(5)
            self.loads.append(name)
            return models[name]()

        presets: dict[str, Preset] = {name: preset(name=name, native=128, max_side=256) for name in models}
        self.residents = Residents(
            {name: Loadable(presets[name], partial(load, name), sizes[name]) for name in models}, self.memory
        )
        self.events: list[EditEvent] = []
        self.engine = Engine(self.residents, self.events.append, memory=self.memory)

    def submit(self, id: str, model: str, **edit: Any) -> Source:  # noqa: A002
        source = source_of(PICTURE, MASK, self.residents.presets[model], id=id, model=model, **edit)
        self.engine.submit(source)
        return source

    def run(self, steps: int = 400) -> None:
        """Until nothing runs, waits or loads."""
        for _ in range(steps):
            self.engine.receive(wait=self.residents.is_loading)
            if not self.engine.step() and not self.residents.is_loading and self.engine.is_idle:
                return
        raise AssertionError(f"still running: {self.ends()}")

    def ends(self) -> list[str]:
        return [event.id for event in self.events if isinstance(event, (EditFinished, EditFailed))]

    def failed(self) -> dict[str, str]:
        return {event.id: event.code for event in self.events if isinstance(event, EditFailed)}

    def colour(self, source: Source) -> tuple[int, ...]:
        end = next(event for event in self.events if isinstance(event, EditFinished) and event.id == source.id)
        return tuple(int(value) for value in laid(PICTURE, source, end.patches()[0])[95, 100, :3])


def shop(budget: int, **sizes: int) -> Shop:
    models: dict[str, Callable[[], ModelAdapter]] = {
        "red": partial(Heavy, "red", RED, weights=60 * MB),
        "blue": partial(Heavy, "blue", BLUE, weights=60 * MB),
    }
    return Shop(models, {"red": 60 * MB, "blue": 60 * MB, **sizes}, budget)


def test_e10_an_edit_that_names_a_model_runs_on_it_and_loads_it_once() -> None:
    both = shop(500 * MB)
    red, blue, again = both.submit("1", "red"), both.submit("2", "blue"), both.submit("3", "red")
    both.run()
    assert (both.colour(red), both.colour(again)) == (both.colour(red), both.colour(red))
    assert both.colour(red)[0] > 200 > 60 > both.colour(blue)[0]
    assert sorted(both.loads) == ["blue", "red"]
    both.engine.integrity.prove()


def test_e10_a_model_that_cannot_be_loaded_fails_its_edits_and_nobody_elses() -> None:
    def away() -> ModelAdapter:
        raise NotFound("half of it is missing", code="incomplete_model")

    broken = Shop(
        {"red": partial(Heavy, "red", RED, weights=60 * MB), "gone": away}, {"red": 60 * MB, "gone": 60 * MB}, 500 * MB
    )
    broken.submit("1", "gone")
    broken.submit("2", "red")
    broken.run()
    assert broken.failed() == {"1": "incomplete_model"}
    assert "2" in broken.ends()
    assert ("model", "gone") not in broken.memory.device
    broken.engine.integrity.prove()


def test_e10_a_model_larger_than_the_budget_says_what_to_change() -> None:
    small = shop(100 * MB, blue=400 * MB)
    small.submit("1", "blue")
    small.run()
    (failed,) = [event for event in small.events if isinstance(event, EditFailed)]
    assert failed.code == "model_too_large"
    assert "NANOBANA_MEMORY_BUDGET" in failed.message


def test_e10_a_model_that_waits_for_room_is_overtaken_by_few_and_nobody_is_forgotten() -> None:
    one = shop(100 * MB)
    one.submit("first", "red")
    one.run()
    for n in range(3):
        one.submit(f"red {n}", "red")
    one.engine.receive()
    one.engine.step()
    one.submit("blue", "blue")
    for n in range(3, 12):
        one.submit(f"red {n}", "red")
    one.run()
    ends = one.ends()
    assert len(ends) == 14
    assert one.loads.count("blue") == 1
    assert sum(ends.index(f"red {n}") < ends.index("blue") for n in range(3, 12)) <= OVERTAKES
    one.engine.integrity.prove()


def test_e10_an_edit_that_waits_for_its_model_can_be_cancelled() -> None:
    both = shop(500 * MB)
    both.gate.clear()
    both.submit("1", "red")
    both.engine.receive()
    both.engine.step()
    both.engine.cancel("1")
    both.engine.receive()
    both.gate.set()
    both.run()
    assert both.ends() == []
    both.engine.integrity.prove()


def test_e10_edits_wait_for_room_and_all_are_done() -> None:
    adapter = Heavy("red", RED, Needs(decode=1000))
    one = source_of(PICTURE, MASK, adapter.preset)
    room = held_bytes(one) + call_bytes(one, Runner(adapter)) + held_bytes(one) // 2
    memory = Memory(budget_bytes=room, cache_bytes=0)
    events: list[EditEvent] = []
    engine = Engine(adapter, events.append, memory=memory)
    for n in range(5):
        engine.submit(source_of(PICTURE, MASK, adapter.preset, id=str(n), user=f"user {n}"))
    most = 0
    for _ in range(60):
        engine.receive()
        engine.step()
        most = max(most, memory.device.used_bytes)
    assert sorted(event.id for event in events if isinstance(event, EditFinished)) == ["0", "1", "2", "3", "4"]
    assert most <= room
    engine.integrity.prove()


def test_e10_what_would_never_fit_is_planned_smaller_before_it_runs() -> None:
    adapter = Heavy("red", RED, Needs(decode=1000))
    source = source_of(PICTURE, MASK, adapter.preset)
    memory = Memory(budget_bytes=held_bytes(source) + call_bytes(source, Runner(adapter)) // 2, cache_bytes=0)
    with Watched(adapter, memory=memory) as watched:
        end = watched.finish(source)
    assert call_bytes(end.source, Runner(adapter)) <= call_bytes(source, Runner(adapter)) // 2
    assert laid(PICTURE, source, end.patches()[0])[95, 100, 0] > 200


def test_e10_what_fits_at_no_size_fails_before_any_work() -> None:
    adapter = Heavy("red", RED, Needs(decode=1000))
    with Watched(adapter, memory=Memory(budget_bytes=MB, cache_bytes=0)) as watched:
        watched.engine.submit(source_of(PICTURE, MASK, adapter.preset))
        assert watched.wait_for(EditFailed, "edit").code == "out_of_memory"
    assert adapter.calls == []


def test_e10_a_call_has_as_many_items_as_there_is_room_for() -> None:
    adapter = Heavy("red", RED, Needs(denoise=1000, decode=1000))
    source = source_of(PICTURE, MASK, adapter.preset, variations=3)
    room = held_bytes(source) + 2 * call_bytes(source, Runner(adapter)) + MB // 2
    with Watched(adapter, budget=100, memory=Memory(budget_bytes=room, cache_bytes=0)) as watched:
        watched.finish(source)
    assert set(adapter.calls) == {2, 1}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Two models of the real classes, tiny and random."""
    made = []
    for seed in (1, 2):
        folder: Path = tmp_path_factory.mktemp("models") / f"tiny-{seed}"
        sd_pipeline(4, seed=seed).save_pretrained(folder)
        made.append(str(folder))
    return made


def tiny(folder: str) -> ModelAdapter:
    """Loaded, and run at sizes that cost little."""
    adapter = Library().load(folder, "cpu")
    adapter.preset = replace(adapter.preset, native=64, min_side=64, max_side=128, grow_scale=0.1)
    return adapter


def pixels_of(events: list[EditEvent]) -> dict[str, Pixels]:
    return {event.id: event.pictures[0] for event in events if isinstance(event, EditFinished)}


def test_e10_fifty_edits_over_two_models_with_room_for_one_are_right_and_leave_the_same_bytes(
    folders: list[str],
) -> None:
    weights = Library().sizes(folders[0], "cpu").all
    adapters = [tiny(each) for each in folders]
    assert weight_bytes(adapters[0].components()) == pytest.approx(weights, rel=0.05)
    sources = [source_of(SMALL, DOT, a.preset, model=a.preset.name, quality="draft") for a in adapters]
    expected = []
    for adapter, source in zip(adapters, sources, strict=True):
        with Watched(adapter) as watched:
            expected.append(watched.finish(source).pictures[0])
    needs = max(held_bytes(s) + call_bytes(s, Runner(a)) for s, a in zip(sources, adapters, strict=True))
    events: list[EditEvent] = []
    memory = Memory(budget_bytes=weights + 4 * needs, cache_bytes=weights // 4)
    memory.device.budget_bytes = int(1.6 * weights) + needs
    models = {
        a.preset.name: Loadable(a.preset, partial(tiny, folder), weights)
        for a, folder in zip(adapters, folders, strict=True)
    }
    residents = Residents(models, memory)
    engine = Engine(residents, events.append, memory=memory)
    used = []
    for n in range(50):
        which = n // 5 % 2
        engine.submit(replace(sources[which], id=str(n)))
        for _ in range(100):
            engine.receive(wait=residents.is_loading)
            if not engine.step() and engine.is_idle:
                break
        engine.integrity.prove()
        used.append(memory.device.used_bytes)
    pictures = pixels_of(events)
    assert len(pictures) == 50
    assert all(np.allclose(pictures[str(n)], expected[n // 5 % 2], atol=1e-5) for n in range(50))
    assert used[14] == used[24] == used[34] == used[44], "the same work leaves the same bytes"


def test_e9_what_was_encoded_is_known_again_by_its_content(folders: list[str]) -> None:
    adapter = tiny(folders[0])
    memory = Memory(cache_bytes=64 * MB)
    events: list[EditEvent] = []
    engine = Engine(adapter, events.append, memory=memory)
    latents, prompts = memory.cache("latents", 0), memory.cache("prompts", 0)
    missed: list[tuple[int, int]] = []
    for name in ("first", "re-roll"):
        engine.submit(source_of(SMALL, DOT, adapter.preset, id=name, variations=2, seed=len(missed)))
        while engine.receive() and (engine.step() or not engine.is_idle):
            pass
        missed.append((latents.misses, prompts.misses))
    assert missed[0] == missed[1], "a variation and a re-roll encode nothing"
    assert latents.hits > 0 < prompts.hits
    assert len(pixels_of(events)) == 2


def test_e10_a_hint_loads_a_model_that_was_dropped_and_never_drops_one_in_use() -> None:
    one = shop(100 * MB)
    foreseen = source_of(PICTURE, MASK, one.residents.presets["red"], id="")
    one.engine.prepare(foreseen, lambda: True)
    one.run()
    assert one.loads == ["red"]
    assert one.ends() == []
    one.submit("1", "red")
    one.engine.receive()
    one.engine.step()
    one.engine.prepare(source_of(PICTURE, MASK, one.residents.presets["blue"], id="", model="blue"), lambda: True)
    one.run()
    assert (one.loads, one.ends()) == (["red"], ["1"])


def test_an_adapter_says_nothing_of_what_it_needs_and_runs() -> None:
    with Watched(PixelAdapter(), memory=Memory(budget_bytes=64 * MB)) as watched:
        watched.finish(source_of(PICTURE, MASK, preset()))
