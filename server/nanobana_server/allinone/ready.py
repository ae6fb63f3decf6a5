"""Asks the server whether page and engine are ready."""

from __future__ import annotations

import http.client
import urllib.error
import urllib.request

import msgspec

POLL_S = 0.1


class Readiness(msgspec.Struct, frozen=True):
    """The answer of `/readyz`."""

    ready: bool = False
    """Whether people can work: the store answers and the server takes newcomers."""
    store: bool = False
    engines: int = 0
    """Engines whose heartbeat is fresh and that take work."""
    loading: str = ""
    """What an engine waits for that takes none yet."""


def ask(address: str, timeout: float = 2.0) -> Readiness | None:
    """What the server at `address` says of itself; None while it does not answer. Blocks: call it in a thread."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        try:
            with opener.open(f"{address}/readyz", timeout=timeout) as reply:
                body = reply.read(65536)
        except urllib.error.HTTPError as refusal:  # 503 says the same in its body
            with refusal:
                body = refusal.read(65536)
        return msgspec.json.decode(body, type=Readiness)
    except (OSError, http.client.HTTPException, msgspec.DecodeError):
        return None
