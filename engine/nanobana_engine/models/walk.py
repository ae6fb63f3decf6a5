"""A long call that stands still at each of its steps until it is told to go on.

Code that owns its own loop can so take part in ours: it runs in a thread of its own, but only while we wait for it, so
nothing runs at the same time. Leaving it in the middle unwinds it where it stands.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

S = TypeVar("S")
R = TypeVar("R")


class _Stopped(BaseException):
    """Unwinds the call; a BaseException, so that nothing in it that catches errors takes it for one."""


class Walk(Generic[S, R]):
    """One call.

    Args:
        call: is given `pause`, which it calls with what there is to show after each of its steps; returns the result.
    """

    def __init__(self, call: Callable[[Callable[[S], None]], R]) -> None:
        self._call = call
        self._go = threading.Semaphore(0)
        self._here = threading.Semaphore(0)
        self._thread: threading.Thread | None = None
        self._stopping = False
        self._error: BaseException | None = None
        self.at = 0
        """Steps that it has made."""
        self.seen: S | None = None
        """What the newest step showed."""
        self.result: R | None = None
        self.is_over = False

    @property
    def is_running(self) -> bool:
        """It stands somewhere in the middle."""
        return self._thread is not None

    def to(self, step: int | None) -> None:
        """Until it has made so many steps, or to its end.

        Raises:
            Exception: whatever the call raised; it begins anew when it is told to go on after that.
        """
        while not self.is_over and (step is None or self.at < step):
            self._resume()
            if self._error is not None:
                error, self._error = self._error, None
                raise error

    def stop(self) -> None:
        """Leave it where it stands; returns once it has let go of everything."""
        thread = self._thread
        if thread is None:
            return
        self._stopping = True
        self._go.release()
        thread.join()
        self._thread, self._stopping, self._error = None, False, None
        self.at = 0

    def _resume(self) -> None:
        if self._thread is None:
            self.at, self.seen = 0, None
            self._thread = threading.Thread(target=self._run, name="walk", daemon=True)
            self._thread.start()
        else:
            self._go.release()
        self._here.acquire()
        if self.is_over or self._error is not None:
            self._thread.join()
            self._thread = None

    def _run(self) -> None:
        try:
            self.result = self._call(self._pause)
            self.is_over = True
        except _Stopped:
            return
        except BaseException as error:  # noqa: BLE001 - raised where the walk is told to go on
            self._error = error
        self._here.release()

    def _pause(self, seen: S) -> None:
        self.at += 1
        self.seen = seen
        self._here.release()
        self._go.acquire()
        if self._stopping:
            raise _Stopped
