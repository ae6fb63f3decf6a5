"""What a model's encoders answered lately, by content: a re-roll or a live stroke encodes nothing twice (E9)."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, Generic, Literal, Protocol, TypeVar, runtime_checkable

import numpy as np
import numpy.typing as npt
import torch

from nanobana_engine.memory import Cache, Memory

T = TypeVar("T")

Kind = Literal["prompts", "latents"]
SHARES: dict[Kind, float] = {"prompts": 0.15, "latents": 0.25}
"""Of what all caches of an engine may have."""


class Recent(Generic[T]):
    """Answers by key: tensors, or tuples of them.

    By itself the newest few; in an engine's memory as many as its book has room for, on the host, and for longer than
    the model's weights stay.
    """

    def __init__(self, size: int, kind: Kind = "prompts") -> None:
        self._size = size
        self._kind: Kind = kind
        self._kept: OrderedDict[Hashable, T] = OrderedDict()
        self._shared: Cache[Hashable, T] | None = None
        self._model = ""

    def remember_in(self, memory: Memory, model: str) -> None:
        """From now on in an engine's memory, under a model's name."""
        self._shared, self._model = memory.cache(self._kind, SHARES[self._kind]), model
        self._kept.clear()

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        if self._shared is not None:
            return self._shared.look((self._model, key), lambda: _on_host(make()), _bytes)
        if key not in self._kept:
            self._kept[key] = make()
            while len(self._kept) > self._size:
                self._kept.popitem(last=False)
        self._kept.move_to_end(key)
        return self._kept[key]


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
    return made.cpu() if isinstance(made, torch.Tensor) else made


def _bytes(made: Any) -> int:
    if isinstance(made, tuple):
        return sum(_bytes(each) for each in made)
    return made.nbytes if isinstance(made, torch.Tensor) else 0
