"""The one way to Redis, Valkey or a cluster of them for server and engine: RESP3, a bounded pool, our own errors."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeAlias
from urllib.parse import urlsplit

import anyio
import redis.asyncio as aioredis
from redis import exceptions
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialWithJitterBackoff, NoBackoff

from nanobana.keyspace.keys import PREFIX
from nanobana.keyspace.scripts import script
from nanobana.keyspace.shards import Cluster, Shards, node_that_failed
from nanobana.protocol.errors import NanobanaError, StorageFull, Unavailable

Word: TypeAlias = str | bytes | int | float
"""What a Redis command may be made of."""

Call: TypeAlias = tuple[str, Sequence[str], Sequence[Word]]
"""A script by name, its KEYS and its ARGV."""

CLUSTER = "redis+cluster"
"""URL scheme of a cluster: any one of its nodes."""

SOCKET_TIMEOUT_S = 20.0
"""Above the longest blocking read; a store that is silent for that long is away."""

BLOCK_MS = 5000
"""How long one blocking read waits at most."""

CLOSE_S = 1.0
"""Time given to closing a connection, also when the caller was cancelled."""

OURS = f"{PREFIX}:"
"""What our keys begin with."""

RETRY_MS = 500
"""Hint in Unavailable."""


class Client:
    """Commands and scripts on one Redis, Valkey or cluster; safe to share between tasks.

    Every method raises Unavailable while the store cannot be reached and StorageFull while it refuses writes for
    want of memory (C12). Commands are retried twice on a lost connection, so each must be harmless when repeated.
    """

    def __init__(self, url: str, *, connections: int = 64) -> None:
        """
        Args:
            url: ``redis://``, ``rediss://``, ``unix://`` or ``redis+cluster://host:port``.
            connections: most commands at once; a caller beyond waits its turn.
        """
        self.url = url
        self.is_cluster = urlsplit(url).scheme == CLUSTER
        self._turns = asyncio.Semaphore(connections)
        self._acquainting = asyncio.Lock()
        self._acquainted = False
        self._shards = Shards()
        retry = Retry(ExponentialWithJitterBackoff(base=0.02, cap=0.3), 2)
        if self.is_cluster:
            self.redis: Any = Cluster.from_url(
                url.replace(CLUSTER, "redis", 1),
                protocol=3,
                max_connections=connections,
                socket_timeout=SOCKET_TIMEOUT_S,
                socket_connect_timeout=2.0,
                retry=retry,
            )
        else:
            pool: Any = aioredis.BlockingConnectionPool.from_url(
                url,
                protocol=3,
                max_connections=connections,
                timeout=5,
                retry=retry,
                retry_on_error=[exceptions.ConnectionError, exceptions.TimeoutError],
                **_timeouts(url),
            )
            self.redis = aioredis.Redis(connection_pool=pool)

    async def call(self, *words: Word) -> Any:
        """One command, e.g. ``call("HGET", key, field)``; replies as redis-py shapes them under RESP3."""
        async with self._turn(words):
            return await self.redis.execute_command(*words)

    async def run(self, name: str, keys: Sequence[str], args: Sequence[Word] = ()) -> Any:
        """A script by name: EVALSHA, and its whole text where the server does not know it yet."""
        lua = script(name)
        async with self._turn(keys):
            try:
                return await self.redis.evalsha(lua.digest, len(keys), *keys, *args)
            except exceptions.NoScriptError:
                return await self.redis.eval(lua.text, len(keys), *keys, *args)

    async def scripts(self, calls: Sequence[Call]) -> list[Any]:
        """Several scripts in one round trip, one after the other; replies in order. One slot on a cluster.

        A store that syncs its log before it answers (C10) does so once for all of them.
        """
        async with self._turn(calls[0][1] if calls else ()):
            pipe = self.redis.pipeline() if self.is_cluster else self.redis.pipeline(transaction=False)
            for name, keys, args in calls:
                pipe.execute_command("EVALSHA", script(name).digest, len(keys), *keys, *args)
            replies: list[Any] = await pipe.execute(raise_on_error=False)
            failed = [reply for reply in replies if isinstance(reply, Exception)]
            if failed and not any(isinstance(error, exceptions.NoScriptError) for error in failed):
                raise failed[0]
        return [await self.run(*call) for call in calls] if failed else replies

    async def pipeline(self, commands: Sequence[Sequence[Word]]) -> list[Any]:
        """Several commands in one round trip, not atomic; replies in order. One slot on a cluster."""
        async with self._turn(commands[0] if commands else ()):
            pipe = self.redis.pipeline() if self.is_cluster else self.redis.pipeline(transaction=False)
            for words in commands:
                pipe.execute_command(*words)
            result: list[Any] = await pipe.execute()
        return result

    async def each(self, commands: Sequence[Sequence[Word]]) -> AsyncIterator[Any]:
        """The replies to commands of any slots, in order: one round trip where there is one node, else one for each."""
        if self.is_cluster:
            for words in commands:
                yield await self.call(*words)
        else:
            for reply in await self.pipeline(commands):
                yield reply

    @asynccontextmanager
    async def _turn(self, words: Sequence[Word]) -> AsyncIterator[None]:
        """One of the connections, and our own errors; `words`: the first of our keys among them says which shard."""
        if not self.is_cluster:
            async with self._our_errors(), self._turns:
                yield
            return
        async with self._our_errors():
            if not self._acquainted:
                await self._get_acquainted()
        node = self._node_of(words)
        if self._shards.rests(node):
            raise _away(exceptions.ConnectionError())
        try:
            async with self._our_errors(), self._turns:
                yield
        except Unavailable as error:
            failed = node_that_failed(error.__cause__) or node  # after a MOVED it is another one
            if failed:
                self._shards.failed(failed)
            raise
        self._shards.answered(node)

    def _node_of(self, words: Sequence[Word]) -> str:
        """Name of the node that has the first key among them, "" where redis-py must find out."""
        key = next((word for word in words if isinstance(word, str) and word.startswith(OURS)), "")
        try:
            return self.redis.get_node_from_key(key).name if key else ""
        except (exceptions.RedisError, exceptions.RedisClusterException):
            return ""

    @asynccontextmanager
    async def _our_errors(self) -> AsyncIterator[None]:
        try:
            yield
        except (exceptions.RedisError, exceptions.RedisClusterException) as error:
            raise translated(error) from error
        except OSError as error:
            raise _away(error) from error
        except AttributeError as error:
            if not self.is_cluster:
                raise
            raise _away(error) from error  # the cluster's nodes are being asked anew, which closes connections in use

    async def _get_acquainted(self) -> None:
        """Learn the cluster's nodes before the first commands: redis-py lets several at once spoil each other's."""
        async with self._acquainting:
            if not self._acquainted:
                await self.redis.initialize()
                self._acquainted = True

    @asynccontextmanager
    async def sharded_channels(self, *channels: str) -> AsyncIterator[Any]:
        """A subscription of its own connection to channels of one slot; yields redis-py's PubSub.

        On a cluster it goes to the node that has the slot now; when the slot moves or the node dies the caller's
        read raises Unavailable, and subscribing again finds the new one.
        """
        own: Any = None
        try:
            async with self._our_errors():
                own = await self._dedicated(channels[0])
                pubsub = own.pubsub()
                await pubsub.ssubscribe(*channels)
                yield pubsub
        finally:
            if own is not None:
                with anyio.move_on_after(CLOSE_S, shield=True):
                    await own.aclose()
                    await own.connection_pool.disconnect()

    async def _dedicated(self, channel: str) -> Any:
        never = Retry(NoBackoff(), 0)  # PubSub would subscribe again by itself, and nobody would ask what was missed
        options: dict[str, Any] = {"protocol": 3, "retry": never}
        if not self.is_cluster:
            pool: Any = aioredis.ConnectionPool.from_url(self.url, **options, **_timeouts(self.url))
            return aioredis.Redis(connection_pool=pool)
        await self.call("EXISTS", channel)  # follows a MOVED, so that the slot table is right
        node = self.redis.get_node_from_key(channel)
        return aioredis.Redis(host=node.host, port=node.port, socket_connect_timeout=2.0, **options)

    async def aclose(self) -> None:
        """Close every connection."""
        if self.is_cluster:
            await self.redis.close_all()
            return
        await self.redis.aclose()
        await self.redis.connection_pool.disconnect()


def translated(error: Exception) -> NanobanaError:
    """redis-py's exception in our terms; errors that mean a bug of ours are raised as they are."""
    if isinstance(error, exceptions.OutOfMemoryError) or "OOM" in str(error)[:120]:
        return StorageFull("The store's memory is used up. Nothing was lost; delete something or raise its limit.")
    away = (
        exceptions.ConnectionError,
        exceptions.TimeoutError,
        exceptions.ClusterError,
        exceptions.RedisClusterException,
        exceptions.ReadOnlyError,
        exceptions.TryAgainError,
        exceptions.MovedError,
        exceptions.AskError,
    )
    if isinstance(error, away) or str(error).startswith(("LOADING", "CLUSTERDOWN", "MASTERDOWN", "MISCONF", "BUSY ")):
        return _away(error)
    raise error


def _away(error: Exception) -> Unavailable:
    text = f"The store cannot be reached at the moment ({type(error).__name__}). What was saved is safe; try again."
    return Unavailable(text, code="store_unavailable", retry_ms=RETRY_MS)


def _timeouts(url: str) -> dict[str, float]:
    return {"socket_timeout": SOCKET_TIMEOUT_S, "socket_connect_timeout": 2.0} if url else {}
