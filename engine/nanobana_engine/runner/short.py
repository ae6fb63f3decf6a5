"""What to do when a model's call does not find enough memory: free what is free, and say so in one type (E10)."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import TypeVar

import torch

from nanobana.protocol.errors import NanobanaError

T = TypeVar("T")

SAID = ("can't allocate memory", "not enough memory")
"""How torch's allocator for the CPU words it: a plain RuntimeError."""


class OutOfMemory(NanobanaError):
    """An edit does not fit; the sentence says what to change."""

    code = "out_of_memory"
    status = 507

    def __init__(self) -> None:
        super().__init__(
            "The engine has too little memory for this edit, at half its size too. Nothing was changed. "
            "Paint a smaller region, or run the engine on a device with more memory."
        )


def is_short(error: BaseException) -> bool:
    """Whether an exception means that memory was not enough."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in SAID)


def within_memory(call: Callable[[], T], *, tries: int = 2) -> T:
    """The call's answer; where memory is short, what nobody uses is freed between tries.

    Raises:
        OutOfMemory: all tries were short.
    """
    for _ in range(tries):
        try:
            return call()
        except Exception as error:
            if not is_short(error):
                raise
        # outside the handler: the exception's frames held the failed call's tensors until here
        free_unused()
    raise OutOfMemory


def free_unused() -> None:
    """Give back what no object refers to any more, the device's cached blocks included."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
