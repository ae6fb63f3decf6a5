"""All memory of one engine: the device's book, the host's, and the caches that share the latter's room (E9, E10)."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

from nanobana_engine.memory.cache import Cache
from nanobana_engine.memory.ledger import Ledger
from nanobana_engine.memory.machine import machine_bytes

CACHE_SHARE = 0.1
"""Of the host's memory for all caches together, unless told otherwise."""
HOST_SHARE = 0.45
"""Of the host's memory for a whole engine, unless told otherwise: the embedded store may take half."""
DEVICE_SHARE = 0.9
"""Of a device's own memory: the rest is its driver's, and lost between the allocator's blocks."""


class Memory:
    """What an engine is made with; who wants a cache asks for a share.

    Args:
        device_bytes: memory of a device of its own, for models and what they work in; None where models run in the
            host's memory: then there is one book for everything.
        budget_bytes: of the book that the models are in; None takes a part of what there is.
        cache_bytes: of all caches together, in the host's memory; None takes a part of it, 0 remembers nothing.
    """

    def __init__(
        self, *, device_bytes: int | None = None, budget_bytes: int | None = None, cache_bytes: int | None = None
    ) -> None:
        host_bytes = machine_bytes()
        self.cache_bytes = int(CACHE_SHARE * host_bytes) if cache_bytes is None else cache_bytes
        if device_bytes is None:
            self.device = Ledger(int(HOST_SHARE * host_bytes) if budget_bytes is None else budget_bytes)
            self.host = self.device
        else:
            self.device = Ledger(int(DEVICE_SHARE * device_bytes) if budget_bytes is None else budget_bytes)
            self.host = Ledger(max(int(HOST_SHARE * host_bytes), self.cache_bytes))
        self._caches: dict[str, Cache[Any, Any]] = {}

    def cache(self, name: str, share: float) -> Cache[Any, Any]:
        """The cache of that name, made at the first call.

        Args:
            share: of `cache_bytes` at the most; shares may add up to more than 1, the ledger keeps the sum in bounds.
        """
        if name not in self._caches:
            self._caches[name] = Cache[Hashable, Any](self.host, name, int(share * self.cache_bytes))
        return self._caches[name]

    def device_cache(self, name: str, share: float) -> Cache[Any, Any]:
        """The same beside the models, for what they compute with.

        Args:
            share: of `cache_bytes` where the models are in the host's memory too; a device of its own gives what it
                has left, for caches push nothing out. Where `cache_bytes` is 0 nothing is remembered there either.
        """
        if self.device is self.host or not self.cache_bytes:
            return self.cache(name, share)
        if name not in self._caches:
            self._caches[name] = Cache[Hashable, Any](self.device, name, self.device.budget_bytes)
        return self._caches[name]

    @property
    def caches(self) -> tuple[Cache[Any, Any], ...]:
        return tuple(self._caches.values())

    def check_integrity(self) -> None:
        """Prove that the books agree, and that nothing works in memory now; called when the engine is idle.

        Raises:
            AssertionError: with what disagrees.
        """
        for ledger in {id(each): each for each in (self.device, self.host)}.values():
            ledger.check_integrity()
        for cache in self._caches.values():
            cache.check_integrity()
