"""A shard that is away is nobody else's trouble: it is asked now and then, and no other connection is closed (C7)."""

import time
from collections.abc import Callable
from typing import Any

import anyio
from redis import exceptions
from redis._parsers.commands import AsyncCommandsParser
from redis.asyncio.cluster import RedisCluster

FIRST_S = 0.1
LONGEST_S = 1.0
"""The second failure in a row doubles the pause, up to this."""

LEARN_S = 10.0
"""Time to find a node that says who has what."""


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


class Cluster(RedisCluster):
    """redis-py's client, but for what it does to all nodes when one of them fails.

    It closes every connection then, those on which others wait for an answer too: a pipeline that a dead node did not
    answer made commands for the healthy ones fail. The failed node's own connections it closes elsewhere.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.commands_parser = KnownCommands(self)

    async def aclose(self) -> None:
        """What redis-py calls when something failed: the nodes are asked anew before the next command."""
        self._initialize = True

    async def initialize(self, *args: Any, **options: Any) -> "Cluster":
        """Ask the nodes who has what; a caller who gives up does not break it off, which would close all as well."""
        if self._initialize:
            with anyio.fail_after(LEARN_S, shield=True):
                await super().initialize(*args, **options)
        return self

    async def close_all(self) -> None:
        """The end: close every connection."""
        self._initialize = False
        await super().aclose()


def node_that_failed(error: BaseException | None) -> str:
    """Name of the node on which redis-py met an error, "" where it does not say."""
    return str(getattr(getattr(error, "connection", None), "name", ""))


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
