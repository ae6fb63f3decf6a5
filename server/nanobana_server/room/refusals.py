"""What one connection was refused for good: an op sent twice is not refused and then taken (C6)."""

from collections import OrderedDict

from nanobana.protocol import messages as m
from nanobana.protocol.canvas import OpId

KEPT = 256
"""As many answers as the store keeps of a client."""


class Refusals:
    """The last final refusals of a connection.

    One that carries `retry_ms` is not final: it asks for the same op again. A new connection knows of none: whoever
    sends an op again after a break has not heard that it was refused.
    """

    def __init__(self) -> None:
        self._kept: OrderedDict[OpId, m.Reject] = OrderedDict()

    def note(self, reject: m.Reject) -> None:
        """An op was refused."""
        if reject.retry_ms is not None:
            return
        self._kept[reject.op] = reject
        if len(self._kept) > KEPT:
            self._kept.popitem(last=False)

    def of(self, op: OpId) -> m.Reject | None:
        """How an op was refused; None if it was not."""
        return self._kept.get(op)
