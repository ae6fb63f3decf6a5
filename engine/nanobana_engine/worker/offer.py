"""All models that a worker serves: what each can be asked for, whether it is loaded, how long an edit takes (J4)."""

from __future__ import annotations

from collections import deque
from functools import partial
from statistics import median

import msgspec

from nanobana.protocol.parameters import ModelFacts
from nanobana_engine.engine.residents import Residents
from nanobana_engine.models.shelf import Shelf
from nanobana_engine.worker.facts import Facts

REMEMBERED = 20
"""Edits of a model by which the next one's time is told."""


class Offer:
    """What a worker says of itself with each heartbeat; the model of edits that name none comes first."""

    def __init__(self, residents: Residents, shelf: Shelf) -> None:
        self._residents = residents
        self._facts = {
            name: Facts(preset, shelf, partial(residents.check_lora, name) if "loras" in preset.takes else None)
            for name, preset in residents.presets.items()
        }
        self._took: dict[str, deque[float]] = {name: deque(maxlen=REMEMBERED) for name in self._facts}

    def took(self, model: str, seconds: float) -> None:
        """An edit of a model was made in this time."""
        if model in self._took:
            self._took[model].append(seconds)

    def now(self) -> list[ModelFacts]:
        """May read the disk: call it in a thread."""
        loaded = self.in_memory()
        return [
            msgspec.structs.replace(
                facts.now(),
                loaded=loaded[name],
                seconds=round(median(self._took[name]), 2) if self._took[name] else 0.0,
            )
            for name, facts in self._facts.items()
        ]

    def in_memory(self) -> dict[str, bool]:
        """By name, whether an edit would find it loaded."""
        return {name: self._residents.runner(name) is not None for name in self._facts}
