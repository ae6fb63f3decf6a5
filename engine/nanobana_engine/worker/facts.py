"""What a worker says of a model: with the styles and LoRAs that lie beside it now, without LoRAs that do not fit."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

from nanobana.protocol.errors import NanobanaError
from nanobana.protocol.parameters import ModelFacts
from nanobana_engine.models.preset import Preset
from nanobana_engine.models.shelf import Shelf
from nanobana_engine.models.wishes import facts_of

log = logging.getLogger(__name__)

CHECKS = 16
"""New files that are checked at a time: a folder of hundreds must not hold up a heartbeat."""


class Facts:
    """Looks at the shelf whenever it is asked; a file is checked once as long as it does not change.

    Args:
        check: raises NanobanaError for a LoRA that is not for this model, LookupError while that cannot be said; None:
            it wears none.
    """

    def __init__(self, preset: Preset, shelf: Shelf, check: Callable[[Path], None] | None) -> None:
        self._preset = preset
        self._shelf = shelf
        self._check = check
        self._checked: dict[tuple[Path, int], bool] = {}
        self._left = 0

    def now(self) -> ModelFacts:
        """May read the disk: call it in a thread."""
        found = self._shelf.loras if self._check else {}
        self._left = CHECKS
        return facts_of(self._preset, self._shelf, [name for name, path in found.items() if self._fits(path)])

    def _fits(self, path: Path) -> bool:
        """False too where it was not looked at yet: it is offered a heartbeat later."""
        try:
            key = (path, path.stat().st_mtime_ns)
        except OSError:
            return False
        if key not in self._checked:
            if not self._left or self._check is None:
                return False
            self._left -= 1
            try:
                self._check(path)
                self._checked[key] = True
            except LookupError:
                return False  # the model is not in memory: nobody can say now
            except NanobanaError as error:
                log.info("not offered: %s", error)
                self._checked[key] = False
        return self._checked[key]
