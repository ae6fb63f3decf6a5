"""The shared vocabulary: every message, parameter and record that crosses a process boundary (msgspec only)."""

PROTOCOL_VERSION = 2
"""Raised on any change that an older peer would misread; `hello` carries it (R1)."""
