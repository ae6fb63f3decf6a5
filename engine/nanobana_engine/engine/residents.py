"""The models that one engine can run: loaded beside the steps when an edit names one, the least used dropped (E10)."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from nanobana_engine.integrity import Checked
from nanobana_engine.memory import Memory
from nanobana_engine.memory.ledger import Key, Worth
from nanobana_engine.models.base import ModelAdapter
from nanobana_engine.models.needs import weight_bytes
from nanobana_engine.models.preset import Preset
from nanobana_engine.models.recent import Remembers
from nanobana_engine.runner import Runner
from nanobana_engine.runner.short import free_unused

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Loadable:
    """A model that can be brought into memory."""

    preset: Preset
    load: Callable[[], ModelAdapter]
    """Called in a thread of its own; what it raises ends the edits that wait for it."""
    bytes: int
    """Of its weights, as far as their files say."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a loading thread came back with."""

    model: str
    adapter: ModelAdapter | None
    error: Exception | None = None


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
        self._bytes = {name: model.bytes for name, model in self._models.items()}
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
        """Of a model's weights: as they were when it was loaded last, or as their files say."""
        return self._bytes[model]

    def pin(self, model: str) -> None:
        self._memory.device.pin(_key(model))

    def unpin(self, model: str) -> None:
        self._memory.device.unpin(_key(model))

    def adopt(self, model: str, adapter: ModelAdapter) -> None:
        """Take a loaded model in; its true size goes into the book, whatever was expected."""
        ledger, key = self._memory.device, _key(model)
        if isinstance(adapter, Remembers):
            adapter.remember_in(self._memory)
        if key not in ledger:
            ledger.book(key, 0, Worth.MODEL, lambda: self._drop(model))
        self._runners[model] = Runner(adapter)
        self._bytes[model] = weight_bytes(adapter.components())
        ledger.correct(key, self._bytes[model])

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
        if not ledger.book(key, loadable.bytes, Worth.MODEL, lambda: self._drop(model)):
            return False
        ledger.pin(key)
        self._loading.add(model)
        free_unused()  # what was dropped for it gives its memory back before the new weights come

        def work() -> None:
            try:
                tell(Loaded(model, loadable.load()))
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
        for name, runner in self._runners.items():
            if _key(name) not in self._memory.device:
                raise AssertionError(f"{name} is in memory and not in the book")
            runner.check_integrity()
            if isinstance(runner.adapter, Checked):
                runner.adapter.check_integrity()

    def _drop(self, model: str) -> None:
        log.info("dropping %s to make room", model)
        self._runners.pop(model, None)


def _key(model: str) -> Key:
    return ("model", model)
