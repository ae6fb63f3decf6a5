"""Rooms and sessions: every server reads the canvas's log, and each session pulls what its socket can take (R1–R10)."""
