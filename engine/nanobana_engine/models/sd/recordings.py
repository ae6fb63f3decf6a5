"""The recorded passes of a model by room, within a budget of bytes; the room that was used last stays longest (E9)."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from itertools import count

import torch
from torch import Tensor

from nanobana_engine.memory.cache import Cache
from nanobana_engine.models.sd.scene import Scene
from nanobana_engine.sparse.record import Record


@dataclass(slots=True)
class Kept:
    """One pass at one noise level, of which cells change as edits write into it."""

    kind: Hashable
    """What must be equal for it to be of use: size, noise level, LoRAs, which of the two prompts."""
    record: Record
    content: Tensor
    """[h, w], int64: the pixels that each cell was computed from."""
    made_up: Tensor
    """[h, w], bool: here an edit was painting; what it saw is not what stands on the canvas."""

    def changing(self, scene: Scene) -> Tensor:
        """[h, w], bool: what an edit must compute: its mask, and what is not of the canvas as it is now."""
        return scene.masked | self.made_up | (self.content != scene.content)

    def take(self, scene: Scene, changing: Tensor) -> None:
        """An edit has written these cells."""
        self.content = torch.where(changing, scene.content, self.content)
        self.made_up = (self.made_up & ~changing) | scene.masked


class Recordings:
    """Of one model.

    Args:
        cache: where they are booked; what it drops is gone here too.
        model: its name there.
    """

    def __init__(self, cache: Cache[Hashable, Kept], model: str) -> None:
        self._cache = cache
        self._model = model
        self._rooms: dict[str, list[Hashable]] = {}
        self._numbers = count()
        self.largest_bytes = 0
        """Of the passes that it was given."""

    def __len__(self) -> int:
        """What is in the cache still."""
        return sum(1 for room in list(self._rooms) for _ in self._of(room))

    @property
    def limit_bytes(self) -> int:
        """Of all that it may hold."""
        return self._cache.limit_bytes

    def find(self, scene: Scene, kind: Hashable) -> tuple[Kept, Tensor] | None:
        """The one of which least is to be computed again, and which cells; all of its room count as used now."""
        found = [(kept, kept.changing(scene)) for kept in self._of(scene.room) if kept.kind == kind]
        return min(found, key=lambda pair: int(pair[1].sum()), default=None)

    def add(self, scene: Scene, kind: Hashable, record: Record) -> None:
        """Keep a new pass; an older one of the same place, which it replaces, goes."""
        for key in list(self._rooms.get(scene.room, ())):
            old = self._cache.get(key)
            if (
                old is not None
                and old.kind == kind
                and 2 * int((old.content == scene.content).sum()) > len(scene.content.flatten())
            ):
                self._cache.forget(key)
        key = (self._model, scene.room, next(self._numbers))
        made = Kept(kind, record, scene.content.clone(), scene.masked.clone())
        nbytes = record.nbytes + made.content.nbytes + made.made_up.nbytes
        self.largest_bytes = max(self.largest_bytes, nbytes)
        self._cache.put(key, made, nbytes)
        self._rooms.setdefault(scene.room, []).append(key)

    def _of(self, room: str) -> Iterator[Kept]:
        """What the room still has, oldest first."""
        held = [(key, kept) for key in self._rooms.get(room, ()) if (kept := self._cache.get(key)) is not None]
        if held:
            self._rooms[room] = [key for key, _ in held]
        else:
            self._rooms.pop(room, None)
        return (kept for _, kept in held)
