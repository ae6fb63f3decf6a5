"""Edits from plan to patch: stages, the running batch, colour and stitch; knows no store."""

from nanobana_engine.engine.engine import Engine
from nanobana_engine.engine.events import EditFailed, EditFinished, EditProgress
from nanobana_engine.engine.source import Source

__all__ = ["EditFailed", "EditFinished", "EditProgress", "Engine", "Source"]
