"""Edits from plan to patch: stages, the running batch, colour and stitch; knows no store."""

from nanobana_engine.engine.engine import Engine
from nanobana_engine.engine.events import EditFailed, EditFinished, EditPart, EditProgress
from nanobana_engine.engine.source import Source
from nanobana_engine.engine.view import View, Whole

__all__ = ["EditFailed", "EditFinished", "EditPart", "EditProgress", "Engine", "Source", "View", "Whole"]
