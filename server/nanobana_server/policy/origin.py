"""Which web pages may talk to this server: its own and those of the allow-list (design §8)."""

from collections.abc import Collection
from urllib.parse import urlsplit

_DEFAULT_PORT = {"http": 80, "https": 443, "ws": 80, "wss": 443}


def is_allowed(origin: str | None, host: str | None, allowed: Collection[str]) -> bool:
    """Whether a request with these headers may change something or open a socket.

    Args:
        origin: the `Origin` header. A browser always sends it with a socket and with state-changing requests;
            without one the caller is no browser, and no cookie of a person can be abused: allowed.
        host: the `Host` header of the same request.
        allowed: further origins, e.g. ``https://studio.example``, where a proxy changes the host.
    """
    if origin is None:
        return True
    if origin in allowed:
        return True
    if host is None:
        return False
    try:
        parts = urlsplit(origin)
        port = parts.port or _DEFAULT_PORT[parts.scheme]
        target = urlsplit(f"{parts.scheme}://{host}")
        return bool(parts.hostname) and (parts.hostname, port) == (
            target.hostname,
            target.port or _DEFAULT_PORT[parts.scheme],
        )
    except (ValueError, KeyError):
        return False
