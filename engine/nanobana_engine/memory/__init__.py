"""The books of memory: a budget in bytes, who holds how much of it, and who goes first when it is used up (E9, E10)."""

from nanobana_engine.memory.cache import Cache
from nanobana_engine.memory.ledger import Ledger
from nanobana_engine.memory.memory import Memory

__all__ = ["Cache", "Ledger", "Memory"]
