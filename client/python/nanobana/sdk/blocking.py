"""The same SDK without async: every coroutine of `Canvas` as a plain method, run on a private event loop."""

import contextlib
import functools
import inspect
from collections.abc import Iterator
from typing import Any

from anyio.from_thread import start_blocking_portal

from nanobana.sdk.canvas import Canvas
from nanobana.sdk.canvas import join as join_async


class BlockingCanvas:
    """A `Canvas` whose coroutines block. Attributes such as `layers` and `replica` are those of the canvas."""

    def __init__(self, canvas: Canvas, portal: Any) -> None:
        self._canvas = canvas
        self._portal = portal

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._canvas, name)
        if not inspect.iscoroutinefunction(value):
            return value

        @functools.wraps(value)
        def call(*args: Any, **options: Any) -> Any:
            return self._portal.call(functools.partial(value, *args, **options))

        return call


@contextlib.contextmanager
def join(link: str, *, name: str = "script") -> Iterator[BlockingCanvas]:
    """Join a canvas by its share link, blocking: ``with join(link) as canvas: canvas.edit(mask, 0, 0, "a cat")``."""
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(join_async(link, name=name)) as canvas:
        yield BlockingCanvas(canvas, portal)
