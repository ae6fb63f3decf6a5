"""A part of the seam that an adapter may leave out: work that can be done before an edit is asked for (E9)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, runtime_checkable

from nanobana_engine.models.base import Request


@runtime_checkable
class PreparesAhead(Protocol):
    """An adapter with work that depends on the picture and the mask alone: it is done while the prompt is typed."""

    def prepare(self, request: Request, goes_on: Callable[[], bool]) -> None:
        """Do it and remember it by its content, so that `condition` finds it for the same pixels and mask only.

        Unlike all other calls it comes from other threads, at the same time as they do. It returns soon after
        `goes_on` has become False, and raises nothing that the edit itself would not raise.
        """
        ...
