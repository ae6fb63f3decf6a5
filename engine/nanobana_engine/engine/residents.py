"""The models that one engine can run: loaded beside the steps when an edit names one, the least used dropped (E10).

A model is in memory as a whole, or without networks that are brought in when they are called (`models/guests`): text
encoders always can be, the denoising network where there is no room for it beside everything else.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from nanobana.protocol.errors import NanobanaError
from nanobana_engine.integrity import Checked
from nanobana_engine.memory import Memory
from nanobana_engine.memory.ledger import Key, Worth
from nanobana_engine.memory.lodging import Lodging
from nanobana_engine.models.base import ModelAdapter
from nanobana_engine.models.guests import NetworkGuest, guests_of, steady_bytes
from nanobana_engine.models.needs import needs_of
from nanobana_engine.models.preset import Preset
from nanobana_engine.models.recent import Remembers
from nanobana_engine.runner import OutOfMemory, Runner
from nanobana_engine.runner.short import free_unused, is_short

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Loadable:
    """A model that can be brought into memory."""

    preset: Preset
    load: Callable[[], ModelAdapter]
    """Called in a thread of its own; what it raises ends the edits that wait for it."""
    bytes: int
    """Of its weights, as far as their files say."""
    largest: int | None = None
    """Of its largest network: what must be in at once at the least. None: all of it."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a loading thread came back with."""

    model: str
    adapter: ModelAdapter | None
    error: Exception | None = None

    def refusal(self) -> NanobanaError | None:
        """What the edits that wait for it are told; None where it was loaded."""
        if self.error is None or isinstance(self.error, NanobanaError):
            return self.error
        log.error("loading %s failed", self.model, exc_info=self.error)
        if is_short(self.error):
            return OutOfMemory()
        return NanobanaError(f"The model {self.model} cannot be loaded here. Nothing was changed.", code="model_failed")


@dataclass(frozen=True, slots=True)
class Foreseen:
    """A model that may be asked for soon."""

    model: str


Tell: TypeAlias = Callable[[Loaded], None]


class Residents:
    """Owned by the model thread; only loading happens beside it.

    Args:
        models: by the name that edits give; the first is the one of edits that name none.
        memory: its device's book has an entry for every model in memory.
    """

    def __init__(self, models: Mapping[str, Loadable], memory: Memory) -> None:
        self._models = dict(models)
        self._memory = memory
        self._runners: dict[str, Runner] = {}
        self._steady: dict[str, int] = {}
        """Bytes of the weights that are there as long as a loaded model is."""
        self._guests: dict[str, list[NetworkGuest]] = {}
        self.lodging = Lodging(memory.device)
        self._loading: set[str] = set()
        self._device = "cpu"
        self.default = next(iter(self._models))

    @classmethod
    def of_one(
        cls,
        adapter: ModelAdapter,
        memory: Memory,
        others: Mapping[str, Loadable] | None = None,
        again: Callable[[], ModelAdapter] | None = None,
    ) -> Residents:
        """An adapter that is there already, and others that are not.

        Args:
            again: loads the first once it was dropped; None keeps hold of it.
        """
        name = adapter.preset.name
        residents = cls({name: Loadable(adapter.preset, again or (lambda: adapter), 0), **(others or {})}, memory)
        residents.settle(adapter)
        residents.adopt(name, adapter)
        return residents

    @property
    def presets(self) -> dict[str, Preset]:
        """Of all that can be run; a loaded model's own is the truer one."""
        return {
            name: self._runners[name].adapter.preset if name in self._runners else model.preset
            for name, model in self._models.items()
        }

    @property
    def is_loading(self) -> bool:
        return bool(self._loading)

    def runner(self, model: str) -> Runner | None:
        """The runner of a model in memory."""
        return self._runners.get(model)

    def bytes(self, model: str) -> int:
        """Of a loaded model's weights that are there as long as it is."""
        return self._steady[model]

    def least(self, model: str) -> int:
        """Bytes of weights that must be there at once when it runs; as its files say, until it was loaded."""
        if model in self._runners:
            return self._steady[model] + max((guest.bytes for guest in self._guests[model]), default=0)
        known = self._models[model]
        return known.bytes if known.largest is None else known.largest

    def pin(self, model: str) -> None:
        self._memory.device.pin(_key(model))

    def unpin(self, model: str) -> None:
        self._memory.device.unpin(_key(model))

    def settle(self, adapter: ModelAdapter) -> None:
        """Bring in for good what has room beside the largest of all else that an edit needs at once; in any thread."""
        guests = guests_of(adapter.components())
        networks = [guest for guest in guests if not guest.is_encoder]
        encoders = max((guest.bytes for guest in guests if guest.is_encoder), default=0)
        weights = steady_bytes(adapter.components()) + sum(network.bytes for network in networks)
        works = needs_of(adapter, adapter.preset.native, adapter.preset.native).most
        if weights + max(encoders, works) <= self._memory.device.budget_bytes:
            for network in networks:
                network.stay()

    def adopt(self, model: str, adapter: ModelAdapter) -> None:
        """Take a loaded model in; its true size goes into the book, whatever was expected."""
        ledger, key = self._memory.device, _key(model)
        if isinstance(adapter, Remembers):
            adapter.remember_in(self._memory)
        if key not in ledger:
            ledger.book(key, 0, Worth.MODEL, lambda: self._drop(model))
        self._runners[model] = Runner(adapter)
        self._steady[model] = steady_bytes(adapter.components())
        ledger.correct(key, self._steady[model])
        self._guests[model] = guests_of(adapter.components())
        for guest in self._guests[model]:
            self._book_copy(model, guest)
            guest.lodge(self.lodging, _guest_key(model, guest))

    def _book_copy(self, model: str, guest: NetworkGuest) -> None:
        """What waits on the host beside a device of its own."""
        if self._memory.host is not self._memory.device:
            self._memory.host.book(_guest_key(model, guest), 0, Worth.WORK)
            self._memory.host.correct(_guest_key(model, guest), guest.host_bytes)

    def begin_loading(self, model: str, tell: Tell) -> bool:
        """Make room and load a model in a thread of its own; True also where that is under way already.

        Args:
            tell: is given the outcome in that thread; the model thread passes it to `end_loading`.

        Returns:
            False where there is no room beside what is in use.
        """
        if model in self._loading:
            return True
        ledger, key, loadable = self._memory.device, _key(model), self._models[model]
        wanted = min(loadable.bytes, ledger.budget_bytes)
        if not ledger.book(key, wanted, Worth.MODEL, lambda: self._drop(model)):
            return False
        ledger.pin(key)
        self._loading.add(model)
        free_unused()  # what was dropped for it gives its memory back before the new weights come

        def work() -> None:
            try:
                adapter = loadable.load()
                self.settle(adapter)
                tell(Loaded(model, adapter))
            except Exception as error:  # noqa: BLE001 - it belongs to the edits that wait, whatever it is
                tell(Loaded(model, None, error))

        log.info("loading %s", model)
        threading.Thread(target=work, name=f"load {model}", daemon=True).start()
        return True

    def end_loading(self, loaded: Loaded) -> None:
        """The outcome of `begin_loading`; nothing stays booked for a model that could not be loaded."""
        self._loading.discard(loaded.model)
        self._memory.device.unpin(_key(loaded.model))
        if loaded.adapter is None:
            self._memory.device.give_back(_key(loaded.model))
            return
        self.adopt(loaded.model, loaded.adapter)
        log.info("loaded %s", loaded.model)

    def foresee(self, model: str, tell: Tell) -> None:
        """Somebody may ask for it soon: load it, or bring back what was put aside, if nothing in use is in the way."""
        if model not in self._runners:
            self.begin_loading(model, tell)
            return
        for guest in self._guests[model]:
            if not guest.is_in and self.lodging.has_room(guest):
                guest.enter()

    def is_whole(self, model: str) -> bool:
        """Whether it is in memory with nothing put aside; from any thread."""
        return model in self._runners and all(guest.is_in for guest in self._guests.get(model, ()))

    @property
    def device(self) -> str:
        """Of the first model, in torch's words."""
        runner = self._runners.get(self.default)
        if runner is not None:
            self._device = str(getattr(runner.adapter, "device", "cpu"))
        return self._device

    def check_lora(self, model: str, path: Path) -> None:
        """
        Raises:
            NanobanaError: it is not for this model.
            LookupError: that is not in memory now.
        """
        runner = self._runners.get(model)
        if runner is None:
            raise LookupError(model)
        loras = getattr(runner.adapter, "loras", None)
        if loras is not None:
            loras.check(path)

    def check_integrity(self) -> None:
        """What must hold while no edit runs: a runner for every booked model, and no leftovers in them.

        Raises:
            AssertionError: with what disagrees.
        """
        self.lodging.check_integrity()
        for name, guests in self._guests.items():
            for guest in guests:
                if guest.is_in != (_guest_key(name, guest) in self._memory.device):
                    raise AssertionError(f"{guest.name} of {name}: in is {guest.is_in}, and the book disagrees")
        for name, runner in self._runners.items():
            if _key(name) not in self._memory.device:
                raise AssertionError(f"{name} is in memory and not in the book")
            runner.check_integrity()
            if isinstance(runner.adapter, Checked):
                runner.adapter.check_integrity()

    def _drop(self, model: str) -> None:
        log.info("dropping %s to make room", model)
        self._runners.pop(model, None)
        for guest in self._guests.pop(model, ()):
            self.lodging.let_go(_guest_key(model, guest), guest)
            if self._memory.host is not self._memory.device:
                self._memory.host.give_back(_guest_key(model, guest))


def _key(model: str) -> Key:
    return ("model", model)


def _guest_key(model: str, guest: NetworkGuest) -> Key:
    return ("guest", (model, guest.name))
