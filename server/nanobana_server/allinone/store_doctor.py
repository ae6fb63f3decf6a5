"""What `nanobana doctor` finds out about a store of one's own: whether it answers, why not, and whether it keeps."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator

import anyio
from redis.exceptions import AuthenticationError, RedisError

from nanobana.findings import Finding
from nanobana.keyspace.client import Client
from nanobana.protocol.errors import NanobanaError

PATIENCE_S = 3.0
SETTING = "NANOBANA_REDIS_URL"
FORMS = "redis://, rediss://, unix:// or redis+cluster://host:port"
UNKNOWN = "unknown"

FSYNC, POLICY = "store's fsync", "store's policy"


def look(url: str) -> list[Finding]:
    """One finding for a store that cannot be used, three for one that answers; nothing of it is changed."""
    try:
        fsync, policy = anyio.run(_asked, url)
    except (NanobanaError, RedisError, OSError, ValueError) as error:
        text, advice = _why(error)
        return [Finding(what="store", state="fail", text=f"{shown(url)}: {text}", advice=advice)]
    return [Finding(what="store", text=f"{shown(url)} answers"), _fsync(fsync), _policy(policy)]


def shown(url: str) -> str:
    """A store's address without user, password and options; "…" where it is none, for it may be a password."""
    scheme, found, rest = url.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2].partition('?')[0]}" if found else "…"


async def _asked(url: str) -> tuple[str, str]:
    """`appendfsync` ("no AOF" without one) and `maxmemory-policy`, as far as the store tells.

    Managed stores hide CONFIG; most of them still tell by INFO whether there is an AOF, and the policy.
    """
    client = Client(url, connections=1)
    try:
        with anyio.fail_after(PATIENCE_S):
            await client.call("PING")
            told: dict[str, str] = {}
            for command in ("INFO memory", "INFO persistence", "CONFIG GET append*", "CONFIG GET maxmemory-policy"):
                try:
                    told |= _texts(await client.call(*command.split()))
                except RedisError:  # not allowed or not known here: that is all it means
                    continue
    finally:
        await client.aclose()
    has_none = told.get("appendonly") == "no" or told.get("aof_enabled") == "0"
    fsync = "no AOF" if has_none else told.get("appendfsync", UNKNOWN)
    return fsync, told.get("maxmemory-policy") or told.get("maxmemory_policy") or UNKNOWN


def _fsync(fsync: str) -> Finding:
    if fsync == "always":
        return Finding(what=FSYNC, text="always: nothing acknowledged is lost to a kill or a power cut")
    if fsync == UNKNOWN:
        text, advice = "the store does not tell it: a power cut may lose the last seconds", "see in its own console"
    else:
        text, advice = f"{fsync}: a power cut or failover can lose the last seconds", "CONFIG SET appendfsync always"
    if fsync == "no AOF":
        advice = f"CONFIG SET appendonly yes, and {advice}"
    return Finding(what=FSYNC, state="warn", text=text, advice=advice)


def _policy(policy: str) -> Finding:
    if policy == "noeviction":
        return Finding(what=POLICY, text="noeviction: a full store refuses writes and drops nothing")
    if policy == UNKNOWN:
        text = "the store does not tell it: any policy but noeviction may drop parts of a canvas"
        return Finding(what=POLICY, state="warn", text=text, advice="see in its own console that it is noeviction")
    text = f"maxmemory-policy {policy} may drop parts of a canvas"
    advice = "CONFIG SET maxmemory-policy noeviction, or the same in its own console"
    return Finding(what=POLICY, state="fail", text=text, advice=advice)


def _why(error: BaseException) -> tuple[str, str]:
    """What is wrong with a store that does not answer as it should, and what to do about it."""
    causes = tuple(_chain(error))
    said = " ".join(map(str, causes))
    if "cluster support disabled" in said:
        return "it is no cluster", f"write redis:// instead of redis+cluster:// in {SETTING}"
    for cause in causes:
        match cause:
            case AuthenticationError():
                return "it refuses the user or the password", f"correct them in {SETTING}"
            case socket.gaierror():
                return "no host of this name is known", f"correct it in {SETTING}"
            case ssl.SSLError():
                return f"no TLS connection: {cause.reason or cause}", "redis:// if it speaks none; else its certificate"
            case ConnectionRefusedError() | FileNotFoundError():
                return "nobody listens there", f"start it, or correct the address in {SETTING}"
            case TimeoutError():
                text = f"no answer within {PATIENCE_S:.0f} s"
                return text, "see that it is up, that no firewall is between, and that rediss:// is said only of TLS"
            case ValueError():
                return "this is no address of a store", f"{SETTING} takes {FORMS}"
    return str(causes[-1]), f"see {SETTING} and the store's own log"


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """An error and what it came from."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _texts(reply: object) -> dict[str, str]:
    """A reply to CONFIG GET or INFO as text, whichever shape the client gives it."""
    pairs = reply.items() if isinstance(reply, dict) else ()
    return {_text(name): _text(value) for name, value in pairs}


def _text(word: object) -> str:
    return word.decode() if isinstance(word, bytes) else str(word)
