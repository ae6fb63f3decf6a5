"""The keys of a canvas as typed values, read key by key and put in place by one script (C8)."""

from collections.abc import Iterable, Sequence
from typing import Any, Literal

import msgspec

from nanobana.keyspace.client import Client, Word
from nanobana.keyspace.keys import CanvasKeys

Kind = Literal["string", "hash", "zset", "stream"]


class Value(msgspec.Struct, frozen=True, array_like=True):
    """What is in one key, in the words that restore.lua takes."""

    key: str
    """Its name without the canvas's part."""
    kind: Kind
    ttl_ms: int
    """0: for ever."""
    words: list[bytes]
    """string: the value; hash: field, value …; zset: score, member …; stream: ID, field, value …"""


async def read_value(client: Client, keys: CanvasKeys, key: str) -> Value | None:
    """One key's value; None if there is no such key. Not for large ones: it is read in one piece."""
    kind = (await client.call("TYPE", key)).decode()
    if kind == "none":
        return None
    ttl_ms = max(0, int(await client.call("PTTL", key)))
    words: list[bytes] = []
    match kind:
        case "string":
            words = [await client.call("GET", key)]
        case "hash":
            words = list(_flat((await client.call("HGETALL", key)).items()))
        case "zset":
            words = [word for pair in _pairs(await client.call("ZRANGE", key, 0, -1, "WITHSCORES")) for word in pair]
        case "stream":
            for entry, fields in await client.call("XRANGE", key, "-", "+"):
                words += [entry, *_flat(fields.items() if isinstance(fields, dict) else [fields])]
        case _:
            raise TypeError(f"{key} is a {kind}")
    return Value(key.removeprefix(keys.prefix), kind, ttl_ms, words)


async def put_values(client: Client, keys: CanvasKeys, values: Sequence[Value], asleep: str = "") -> bool:
    """Put a canvas in place that is not here, whole or not at all; False if there is one already.

    Args:
        asleep: the file in the cellar that it sleeps in; "" for a new canvas.
    """
    names = [keys.meta, keys.asleep, *(keys.prefix + value.key for value in values)]
    args: list[Word] = [asleep]
    for value in values:
        args += [value.kind, value.ttl_ms, len(value.words), *value.words]
    return bool(await client.run("restore", names, args))


def _flat(pairs: Iterable[Any]) -> Iterable[bytes]:
    return (word for pair in pairs for word in pair)


def _pairs(reply: Any) -> Iterable[tuple[bytes, bytes]]:
    """(score, member) of a sorted set."""
    for member, score in reply:
        yield repr(float(score)).encode(), member
