"""What `nanobana serve` is told by its environment and options, and what it tells its parts."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Mapping
from pathlib import Path

import msgspec

from nanobana_server.allinone.errors import BadSetting, PortTaken

DEFAULT_PORT = 8000
DEFAULT_HOST = "127.0.0.1"
MIN_STORE_BYTES = 64 << 20
"""Less would not hold one photograph."""
EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}
"""Addresses that mean "all of this machine's", and the one to open in a browser on it."""


class ServeSettings(msgspec.Struct, frozen=True):
    """Settings of one all-in-one run."""

    data: Path
    """Folder for everything that is kept; made if absent."""
    host: str = DEFAULT_HOST
    port: int = DEFAULT_PORT
    redis_url: str | None = None
    """An existing store to use instead of the embedded one."""
    model: str | None = None
    """The engine's model; None leaves it to the engine."""
    store_bytes: int | None = None
    """Byte budget of the embedded store; None for half of the machine's memory."""
    logs_to_terminal: bool = False

    @property
    def address(self) -> str:
        """The page's address for a browser on this machine."""
        host = EVERYWHERE.get(self.host, self.host)
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}"

    @property
    def logs(self) -> Path:
        return self.data / "logs"

    def environment(self, base: Mapping[str, str], redis_url: str) -> dict[str, str]:
        """The environment of a part: `base` with these settings in it."""
        told = {
            "NANOBANA_REDIS_URL": redis_url,
            "NANOBANA_DATA": str(self.data),
            "NANOBANA_CELLAR": base.get("NANOBANA_CELLAR") or str(self.data / "cellar"),
            "NANOBANA_HOST": self.host,
            "PORT": str(self.port),
            "PYTHONUNBUFFERED": "1",
        }
        if self.model:
            told["NANOBANA_MODEL"] = self.model
        return {**base, **told}


def read(environ: Mapping[str, str]) -> ServeSettings:
    """Settings from the environment: PORT and NANOBANA_HOST, _DATA, _REDIS_URL, _MODEL, _STORE_BYTES.

    Raises:
        BadSetting: PORT is not a port number, NANOBANA_STORE_BYTES not a number of bytes.
    """
    port = environ.get("PORT") or str(DEFAULT_PORT)
    if not port.isascii() or not port.isdecimal() or not 0 < int(port) < 65536:
        raise BadSetting("PORT", port, "a number from 1 to 65535")
    budget = environ.get("NANOBANA_STORE_BYTES") or None
    if budget is not None and not (budget.isascii() and budget.isdecimal() and int(budget) >= MIN_STORE_BYTES):
        raise BadSetting("NANOBANA_STORE_BYTES", budget, f"a number of bytes, {MIN_STORE_BYTES} at least")
    named = environ.get("NANOBANA_DATA")
    return ServeSettings(
        data=Path(named).expanduser().absolute() if named else default_data(environ),
        host=environ.get("NANOBANA_HOST") or DEFAULT_HOST,
        port=int(port),
        redis_url=environ.get("NANOBANA_REDIS_URL") or None,
        model=environ.get("NANOBANA_MODEL") or None,
        store_bytes=int(budget) if budget else None,
    )


def default_data(environ: Mapping[str, str]) -> Path:
    """The data folder when none is named: the user's data folder by the XDG convention."""
    base = environ.get("XDG_DATA_HOME")
    return (Path(base) if base else Path.home() / ".local" / "share") / "nanobana"


def check_port(host: str, port: int) -> None:
    """Make sure that the server will be able to listen, before anything is started.

    Raises:
        PortTaken: it will not, and why.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except socket.gaierror as error:
        raise PortTaken(host, port, f"the host is not known ({error.strerror})") from error
    for family, kind, protocol, _, address in found:
        with socket.socket(family, kind, protocol) as probe:
            if os.name == "posix":
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(address)
            except OSError as error:
                if error.errno == errno.EADDRINUSE:
                    raise PortTaken(host, port, "another program listens there already") from error
                raise PortTaken(host, port, error.strerror or str(error)) from error
