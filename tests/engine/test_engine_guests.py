"""Networks put aside between their calls: the same pictures with less memory, and books that say so (E10)."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from nanobana.protocol.geometry import Box
from nanobana_engine.engine import EditFailed, EditFinished, Engine, Source
from nanobana_engine.engine.admission import call_bytes, held_bytes
from nanobana_engine.engine.events import EditEvent
from nanobana_engine.engine.residents import Loadable, Residents
from nanobana_engine.memory import Ledger, Memory
from nanobana_engine.memory.ledger import Worth
from nanobana_engine.memory.lodging import Lodging
from nanobana_engine.models.base import ModelAdapter, Pixels
from nanobana_engine.models.guests import NetworkGuest, guest_of, guests_of, placed, steady_bytes
from nanobana_engine.models.needs import weight_bytes
from nanobana_engine.models.preset import Preset, Weights
from nanobana_engine.models.registry import Library
from nanobana_engine.models.sd.adapter import SdAdapter
from nanobana_engine.runner import Runner
from support import tiny
from support.edits import mask_in, photo, source_of

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")

SMALL, DOT = photo(64, 64), mask_in(64, 64, Box(28, 28, 36, 36))
MB = 1 << 20
PROMPTS = ("a red apple", "tree", "snow", "a red apple in snow")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The real classes; the text encoder is what is largest."""
    made = tmp_path_factory.mktemp("models") / "tiny"
    pipeline = tiny.sd_pipeline(4)
    torch.manual_seed(3)
    pipeline.text_encoder = tiny.clip_encoder(192)
    pipeline.unet = tiny.unet(4, 192)
    pipeline.save_pretrained(made)
    return made


@pytest.fixture(scope="module")
def walked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that diffusers' own loop is walked for."""
    made = tmp_path_factory.mktemp("models") / "walked"
    tiny.sd3_pipeline().save_pretrained(made)
    return made


def load(folder: Path, weights: Weights = "stored") -> ModelAdapter:
    adapter = Library(weights=weights).load(str(folder), "cpu")
    adapter.preset = replace(adapter.preset, native=64, min_side=64, max_side=128, grow_scale=0.1)
    return adapter


def sources(adapter: ModelAdapter, prompts: tuple[str, ...] = PROMPTS) -> list[Source]:
    return [source_of(SMALL, DOT, adapter.preset, id=prompt, prompt=prompt, quality="draft") for prompt in prompts]


class Room:
    """An engine with one model and a budget; keeps what was in memory at every event."""

    def __init__(
        self, folder: Path, budget: int, weights: Weights = "stored", *, settles_with: int | None = None, **memory: Any
    ) -> None:
        self.memory = Memory(budget_bytes=budget if settles_with is None else settles_with, cache_bytes=0, **memory)
        self.adapter = load(folder, weights)
        self.residents = Residents.of_one(self.adapter, self.memory, again=partial(load, folder, weights))
        self.memory.device.budget_bytes = budget
        self.events: list[EditEvent] = []
        self.weights: set[int] = set()
        self.engine = Engine(self.residents, self._tell, memory=self.memory)

    def _tell(self, event: EditEvent) -> None:
        self.events.append(event)
        self.weights.add(weight_bytes(self.adapter.components()))

    def run(self, *asked: Source) -> None:
        for source in asked:
            self.engine.submit(source)
        for _ in range(400):
            self.engine.receive(wait=self.residents.is_loading)
            if not self.engine.step() and self.engine.is_idle and not self.residents.is_loading:
                self.engine.integrity.prove()
                return
        raise AssertionError("still running")

    @property
    def pictures(self) -> dict[str, Pixels]:
        return {event.id: event.pictures[0] for event in self.events if isinstance(event, EditFinished)}

    @property
    def failed(self) -> dict[str, EditFailed]:
        return {event.id: event for event in self.events if isinstance(event, EditFailed)}


def whole(folder: Path) -> dict[str, Pixels]:
    """The pictures where there is room for everything."""
    ample = Room(folder, 1 << 30)
    ample.run(*sources(ample.adapter))
    assert len(ample.pictures) == len(PROMPTS)
    assert ample.weights == {weight_bytes(ample.adapter.components())}, "nothing is put aside without need"
    return ample.pictures


def same(got: dict[str, Pixels], expected: dict[str, Pixels]) -> bool:
    return got.keys() == expected.keys() and all(np.allclose(got[name], expected[name], atol=1e-5) for name in got)


def works(adapter: ModelAdapter, guests: list[NetworkGuest]) -> tuple[int, int]:
    """What one edit holds, and what its largest call works in beside the networks that are there."""
    source = sources(adapter)[0]
    for guest in guests:
        guest.stay()
    return held_bytes(source), call_bytes(source, Runner(adapter))


def test_e10_an_encoder_put_aside_takes_nothing_and_comes_back_as_it_was(folder: Path) -> None:
    adapter = load(folder)
    encoder = next(each.module for each in adapter.components() if each.name == "text_encoder")
    guest = guest_of(encoder)
    assert guest is not None
    ids = torch.tensor([[0, 2, 3, 9]])
    with torch.inference_mode():
        before = encoder(ids).last_hidden_state
        guest.go()
        assert sum(each.nbytes for each in encoder.parameters()) == 0
        after = encoder(ids).last_hidden_state
    assert torch.equal(before, after)
    assert sum(each.nbytes for each in encoder.parameters()) == guest.bytes


def test_e10_a_network_comes_back_in_the_order_in_which_it_is_read(folder: Path) -> None:
    adapter = SdAdapter.from_folder(folder, Preset(name="tiny", reuses=True, native=64))
    guest = guest_of(adapter.unet)
    assert guest is not None
    for _ in range(2):
        weights = [each for each in adapter.unet.parameters() if each.ndim == 4]
        assert all(each.is_contiguous(memory_format=torch.channels_last) and each.numel() for each in weights)
        guest.go()
        guest.come()


@pytest.mark.parametrize("weights", ["stored", "int8"])
def test_e10_a_text_encoder_goes_when_its_room_is_needed_and_the_pictures_are_the_same(
    folder: Path, weights: Weights
) -> None:
    adapter = load(folder, weights)
    guests = guests_of(adapter.components())
    encoder = max(guest.bytes for guest in guests if guest.is_encoder)
    holds, calls = works(adapter, [guest for guest in guests if not guest.is_encoder])
    budget = steady_bytes(adapter.components()) + holds + calls + encoder // 2
    tight, ample = Room(folder, budget, weights), Room(folder, 1 << 30, weights)
    for room in (tight, ample):
        for source in sources(room.adapter):
            room.run(source)
    assert same(tight.pictures, ample.pictures)
    everything = weight_bytes(ample.adapter.components())
    assert tight.weights == {everything - encoder}, "while an edit runs the encoder is away"
    assert tight.memory.device.used_bytes <= budget


@pytest.mark.parametrize("which", ["folder", "walked"])
def test_e10_a_network_without_room_beside_the_rest_comes_for_its_calls(
    which: str, request: pytest.FixtureRequest
) -> None:
    model: Path = request.getfixturevalue(which)
    adapter = load(model)
    guests = guests_of(adapter.components())
    network, encoder = (
        max(guest.bytes for guest in guests if guest.is_encoder == is_encoder) for is_encoder in (False, True)
    )
    steady = steady_bytes(adapter.components())
    holds, calls = works(adapter, guests)
    room = Room(model, steady + holds + max(encoder, network + calls), settles_with=0)
    room.run(*sources(room.adapter))
    assert same(room.pictures, whole(model))
    assert max(room.weights) < steady + network + sum(guest.bytes for guest in guests if guest.is_encoder)
    assert room.memory.device.used_bytes <= room.memory.device.budget_bytes


def test_e10_a_model_of_which_no_part_fits_says_what_would_help(folder: Path) -> None:
    room = Room(folder, 1000)
    room.run(sources(room.adapter)[0])
    (failed,) = room.failed.values()
    assert failed.code == "model_too_large"
    assert "NANOBANA_WEIGHTS=int8" in failed.message


def test_e10_two_models_swap_their_networks_in_one_room(folder: Path, walked: Path) -> None:
    adapters = {name: load(each) for name, each in (("one", folder), ("two", walked))}
    facts = {name: replace(adapter.preset, name=name) for name, adapter in adapters.items()}
    sizes = {name: weight_bytes(adapter.components()) for name, adapter in adapters.items()}

    def loaded(name: str, each: Path) -> ModelAdapter:
        adapter = load(each)
        adapter.preset = facts[name]
        return adapter

    def run(budget: int) -> tuple[dict[str, Pixels], Engine]:
        events: list[EditEvent] = []
        memory = Memory(budget_bytes=budget, cache_bytes=0)
        residents = Residents(
            {
                name: Loadable(facts[name], partial(loaded, name, each), sizes[name], sizes[name] // 2)
                for name, each in (("one", folder), ("two", walked))
            },
            memory,
        )
        engine = Engine(residents, events.append, memory=memory)
        for n in range(4):
            name = ("one", "two")[n % 2]
            engine.submit(source_of(SMALL, DOT, facts[name], id=str(n), model=name, prompt=PROMPTS[n], quality="draft"))
        for _ in range(600):
            engine.receive(wait=residents.is_loading)
            if not engine.step() and engine.is_idle and not residents.is_loading:
                break
        engine.integrity.prove()
        return {event.id: event.pictures[0] for event in events if isinstance(event, EditFinished)}, engine

    most = max(sum(works(adapter, guests_of(adapter.components()))) for adapter in adapters.values())
    ample, _ = run(1 << 30)
    tight, engine = run(most + max(sizes.values()))
    assert len(ample) == 4
    assert same(tight, ample)
    assert engine.is_idle


def test_e10_a_hint_brings_back_what_was_put_aside_while_nothing_is_in_its_way(folder: Path) -> None:
    room = Room(folder, 1 << 30)
    guests = guests_of(room.adapter.components())
    for guest in guests:
        room.memory.device.drop(("guest", (room.residents.default, guest.name)))
    assert not room.residents.is_whole(room.residents.default)
    room.engine.prepare(source_of(SMALL, DOT, room.adapter.preset, id=""), lambda: True)
    room.run()
    assert room.residents.is_whole(room.residents.default)
    room.engine.integrity.prove()


def test_e10_a_dropped_model_leaves_nothing_of_its_guests_in_any_book(folder: Path) -> None:
    room = Room(folder, 64 * MB, device_bytes=128 * MB)
    device, host = room.memory.device, room.memory.host
    assert device.used_bytes == pytest.approx(weight_bytes(room.adapter.components()), rel=1e-3)
    device.drop(("model", room.residents.default))
    assert device.used_bytes == host.used_bytes == 0
    room.run(sources(room.adapter)[0])
    assert len(room.pictures) == 1


def test_e10_beside_a_device_of_its_own_a_network_waits_on_the_host_until_it_is_called() -> None:
    network = tiny.clip_encoder(16)
    kept = next(network.parameters()).data
    guest = NetworkGuest("text_encoder", network, torch.device("cpu"), None)
    assert (guest.is_in, guest.host_bytes) == (False, guest.bytes)
    ledger = Ledger(10 * guest.bytes)
    lodging = Lodging(ledger)
    guest.lodge(lodging, ("guest", "it"))
    network(torch.tensor([[0, 2, 9]]))
    assert guest.is_in
    assert ledger.used_bytes == guest.bytes
    ledger.drop(("guest", "it"))
    assert not guest.is_in
    assert next(network.parameters()).data.data_ptr() == kept.data_ptr()
    guest.stay()
    assert guest_of(network) is None
    assert guest.host_bytes == 0


def test_e10_a_pipeline_runs_on_its_device_while_its_networks_wait_on_the_host() -> None:
    pipeline = placed(tiny.sd_pipeline(4), Preset(name="tiny"), torch.device("meta"))
    assert pipeline.text_encoder.device.type == pipeline.unet.device.type == "cpu"
    assert pipeline.vae.device.type == "meta"
    assert pipeline._execution_device.type == "meta"


class Visitor:
    """A guest without weights."""

    def __init__(self, nbytes: int, *, fails: bool = False) -> None:
        self.bytes = nbytes
        self.is_in = False
        self.fails = fails

    def come(self) -> None:
        if self.fails:
            raise MemoryError
        self.is_in = True

    def go(self) -> None:
        self.is_in = False


@pytest.mark.parametrize(
    ("budget", "kept"), [(100, True), (30, False)], ids=["kept where there is room", "lent where there is none"]
)
def test_e10_a_guest_that_cannot_come_is_in_no_book(budget: int, kept: bool) -> None:
    ledger = Ledger(budget)
    lodging = Lodging(ledger)
    broken = Visitor(60, fails=True)
    with pytest.raises(MemoryError):
        lodging.enter(("guest", "broken"), broken)
    assert ledger.used_bytes == 0
    lodging.check_integrity()
    well = Visitor(60)
    lodging.enter(("guest", "well"), well)
    assert well.is_in
    assert ledger.used_bytes == (60 if kept else 0)
    assert lodging.is_lent(well) is not kept


def test_e10_one_guest_at_a_time_is_in_on_loan_and_a_kept_one_gives_way_to_work() -> None:
    ledger = Ledger(100)
    lodging = Lodging(ledger)
    ledger.book(("calls", "largest"), 70, Worth.WORK)
    first, second, small = Visitor(60), Visitor(50), Visitor(20)
    lodging.enter(("guest", "first"), first)
    lodging.enter(("guest", "small"), small)
    assert (first.is_in, small.is_in) == (False, True)
    lodging.enter(("guest", "second"), second)
    assert (second.is_in, small.is_in, lodging.is_lent(second)) == (True, True, True)
    with pytest.raises(AssertionError):
        lodging.check_integrity()
    lodging.end_loan()
    assert not second.is_in
    ledger.book(("edit", "e"), 25, Worth.WORK)
    assert not small.is_in
    ledger.check_integrity()
