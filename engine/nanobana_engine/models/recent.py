"""What a model's encoders answered lately, by content: a re-roll or a live stroke encodes nothing twice (E9)."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, Generic, Literal, Protocol, TypeVar, runtime_checkable

import numpy as np
import numpy.typing as npt

from nanobana_engine.memory import Cache, Memory

T = TypeVar("T")

Kind = Literal["prompts", "latents", "passes"]
SHARES: dict[Kind, float] = {"prompts": 0.15, "latents": 0.1, "passes": 0.4}
"""Of what all caches of an engine may have."""


class Recent(Generic[T]):
    """Answers by key: tensors, tuples of them, or what can be counted and moved to the host like them.

    By itself the newest few; in an engine's memory as many as its book has room for, on the host, and for longer than
    the model's weights stay. Safe to call from several threads; two that miss at the same time both make it.
    """

    def __init__(self, size: int, kind: Kind = "prompts") -> None:
        self._size = size
        self._kind: Kind = kind
        self._lock = threading.Lock()
        self._kept: OrderedDict[Hashable, T] = OrderedDict()
        self._shared: Cache[Hashable, T] | None = None
        self._model = ""

    def remember_in(self, memory: Memory, model: str) -> None:
        """From now on in an engine's memory, under a model's name."""
        with self._lock:
            self._shared, self._model = memory.cache(self._kind, SHARES[self._kind]), model
            self._kept.clear()

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        """What is remembered, or else what `make` returns, which is then remembered."""
        found = self.peek(key)
        if found is None:
            made = make()
            found = made if self._shared is None else _on_host(made)
            self.put(key, found)
        return found

    def peek(self, key: Hashable) -> T | None:
        """What is remembered, if it still is; it counts as used now."""
        if self._shared is not None:
            return self._shared.get((self._model, key))
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
            return self._kept.get(key)

    def put(self, key: Hashable, value: T) -> None:
        """Remember it while there is room; a value already there is kept."""
        if self._shared is not None:
            kept = _on_host(value)
            self._shared.put((self._model, key), kept, _bytes(kept))
            return
        with self._lock:
            self._kept.setdefault(key, value)
            while len(self._kept) > self._size:
                self._kept.popitem(last=False)


@runtime_checkable
class Remembers(Protocol):
    """An adapter that can be told where to keep what it made."""

    def remember_in(self, memory: Memory) -> None:
        """Told once, before the first call of anything else; until then it keeps a little by itself."""
        ...


def digest(array: npt.NDArray[Any]) -> bytes:
    """Equal for arrays of the same shape and bytes only."""
    kept = np.ascontiguousarray(array)
    return hashlib.blake2b(kept.tobytes(), digest_size=16, salt=str(kept.shape).encode()[:16]).digest()


def _on_host(made: Any) -> Any:
    if isinstance(made, tuple):
        return tuple(_on_host(each) for each in made)
    return made.cpu() if hasattr(made, "cpu") else made


def _bytes(made: Any) -> int:
    if isinstance(made, tuple):
        return sum(_bytes(each) for each in made)
    return int(getattr(made, "nbytes", 0))
