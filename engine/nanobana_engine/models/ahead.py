"""Parts of the seam that an adapter may leave out: work that can be done before an edit is asked for (E9)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol, runtime_checkable

import torch

from nanobana_engine.models.base import Request


@runtime_checkable
class PreparesAhead(Protocol):
    """An adapter with work that depends on the picture and the mask alone: it is done while the prompt is typed."""

    @property
    def prepares_briefly(self) -> bool:
        """It is a fraction of a second: an edit that comes meanwhile waits for it, so nothing else should go first."""
        ...

    def prepare(self, request: Request, goes_on: Callable[[], bool]) -> None:
        """Do it and remember it by its content, so that `condition` finds it for the same pixels and mask only.

        Unlike all other calls it comes from other threads, at the same time as they do. It returns soon after
        `goes_on` has become False, and raises nothing that the edit itself would not raise.
        """
        ...


@runtime_checkable
class Rehearses(Protocol):
    """An adapter that can record a pass over what stands there, so that the first edit of a place need not."""

    def rehearse(
        self, request: Request, steps: int, draw: Callable[[int], torch.Tensor], goes_on: Callable[[], bool]
    ) -> Iterator[None]:
        """One noise level for each item; called, as all but `prepare`, by the thread of the steps.

        Args:
            draw: makes the noise that lies around edits, for latents of so many channels.
            goes_on: asked in the middle of a level; once False the iterator ends soon, and keeps nothing of the level.
        """
        ...
