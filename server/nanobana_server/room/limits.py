"""How fast one connection may speak, and what happens when it does not keep to that (R10)."""

from dataclasses import dataclass

from nanobana_server.policy.rate import Clock, Rate


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """Per connection; `(per second, at once)`."""

    ops: tuple[float, float] = (300.0, 1000.0)
    """Above it an op is rejected with ``too_many`` and the time to wait.

    Far above what one session gets done, for its ops are done one after the other: this is for floods of cheap ones.
    """
    volatile: tuple[float, float] = (150.0, 300.0)
    """Cursors, strokes and pings above it are dropped."""
    masks: tuple[float, float] = (1200.0, 4096.0)
    """Tiles of masks above it are dropped; a mask over the whole of the largest canvas has 4096."""
    bytes: tuple[float, float] = (2 * 2**20, 8 * 2**20)
    """Above it the server reads more slowly, and TCP tells the client."""
    bad: tuple[float, float] = (0.2, 16.0)
    """Messages that are not understood; above it the socket is closed with CLOSE_BAD_FRAME."""
    refused: tuple[float, float] = (50.0, 1000.0)
    """Ops beyond their own limit; above it the socket is closed with CLOSE_RATE."""


class Limits:
    """The running state of one connection's allowance."""

    def __init__(self, allowance: Allowance, clock: Clock) -> None:
        self.ops = Rate(*allowance.ops, clock)
        self.volatile = Rate(*allowance.volatile, clock)
        self.masks = Rate(*allowance.masks, clock)
        self.bytes = Rate(*allowance.bytes, clock)
        self.bad = Rate(*allowance.bad, clock)
        self.refused = Rate(*allowance.refused, clock)
