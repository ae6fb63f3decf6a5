"""Who may do what: one table for ops, one for routes, deny by default (R7)."""

from nanobana_server.policy.table import OPS, ROUTES, may

__all__ = ["OPS", "ROUTES", "may"]
