"""The canvas store on Redis or Valkey: one object, and the ops that need pixels beside it (rules C1–C12)."""

from nanobana_server.store.store import Store, open_store

__all__ = ["Store", "open_store"]
