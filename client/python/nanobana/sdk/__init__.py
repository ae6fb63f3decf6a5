"""The Python SDK: join a canvas, follow its events, paint, edit, undo and export, async or blocking."""

from nanobana.sdk.blocking import join as join_blocking
from nanobana.sdk.canvas import Canvas, join
from nanobana.sdk.http import create_canvas, open_canvas_file
from nanobana.sdk.live import Live

__all__ = ["Canvas", "Live", "create_canvas", "join", "join_blocking", "open_canvas_file"]
