"""Waiting out a store that is away: the same call again, with growing pauses (the worker never dies with the store)."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from typing import TypeVar

import anyio

from nanobana.protocol.errors import Unavailable

_T = TypeVar("_T")

FIRST_S, LONGEST_S = 0.05, 1.0


class BackOff:
    """Pauses that double up to a second, with jitter; `reset` after a success."""

    def __init__(self) -> None:
        self._pause = FIRST_S

    def reset(self) -> None:
        self._pause = FIRST_S

    async def wait(self) -> None:
        await anyio.sleep(self._pause * random.uniform(0.5, 1.0))
        self._pause = min(LONGEST_S, self._pause * 2)


async def patiently(call: Callable[[], Awaitable[_T]]) -> _T:
    """The call's answer, however long the store is away; the call must be harmless when repeated."""
    back_off = BackOff()
    while True:
        try:
            return await call()
        except Unavailable:
            await back_off.wait()
