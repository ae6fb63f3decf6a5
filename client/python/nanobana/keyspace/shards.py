"""Back-off per shard: what is away is asked again now and then, not by every command for it (C7)."""

import time
from collections.abc import Callable
from typing import Any

from redis import exceptions
from redis._parsers.commands import AsyncCommandsParser

FIRST_S = 0.1
LONGEST_S = 1.0
"""The second failure in a row doubles the pause, up to this."""


class Shards:
    """Which nodes failed, and until when commands for them are refused unasked.

    A cluster's client asks all nodes anew after a lost connection and closes those in use: were a dead node asked by
    every command for it, those for the others would hardly get through.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._until: dict[str, tuple[float, float]] = {}
        """By node, (when it is asked again, the pause that led to it)."""

    def rests(self, node: str) -> bool:
        """Whether it is too early to ask this node again."""
        return node in self._until and self._now() < self._until[node][0]

    def failed(self, node: str) -> None:
        until, pause = self._until.get(node, (0.0, FIRST_S / 2))
        if self._now() >= until:  # commands that were under way together fail together, and count once
            pause = min(2 * pause, LONGEST_S)
            self._until[node] = (self._now() + pause, pause)

    def answered(self, node: str) -> None:
        self._until.pop(node, None)


class KnownCommands(AsyncCommandsParser):
    """Where the keys of commands are, learned once from any master that answers.

    redis-py asks the first master of its list alone, whenever a connection to any of them was lost, and closes all
    connections if it gets no answer: while just that master is dead, nothing would get through to the others (C7).
    """

    def __init__(self, cluster: Any) -> None:
        super().__init__()
        self._cluster = cluster

    async def initialize(self, node: Any = None) -> None:
        if self.commands:
            self.node = node or self.node
            return
        rest = [each for each in self._cluster.get_primaries() if each is not node]
        for number, one in enumerate([node, *rest], start=1):
            try:
                await super().initialize(one)
            except (exceptions.ConnectionError, exceptions.TimeoutError, OSError):
                if number > len(rest):
                    raise
            else:
                self._cluster.set_default_node(one)
                return

    async def get_keys(self, *args: Any) -> tuple[str, ...] | None:
        """Of reads of streams without asking a node."""
        if args[0] in ("XREAD", "XREADGROUP"):
            streams = args[args.index("STREAMS") + 1 :]
            return streams[: len(streams) // 2]
        return await super().get_keys(*args)
