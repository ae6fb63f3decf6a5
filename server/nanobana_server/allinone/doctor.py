"""What the server's side of `nanobana doctor` looks at: packages, store, data folder, disk, port and page."""

from __future__ import annotations

import importlib
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from nanobana.findings import Finding
from nanobana_server.allinone import store, store_doctor
from nanobana_server.allinone.errors import ServeError
from nanobana_server.allinone.settings import ServeSettings, check_port, read
from nanobana_server.settings import Settings

ROOM_BYTES = 2 << 30
"""Less free space on the data folder's disk is worth a word."""


def look(environ: Mapping[str, str] | None = None) -> list[Finding]:
    """Everything, in the order in which a start needs it; nothing is started or changed."""
    try:
        settings = read(os.environ if environ is None else environ)
    except ServeError as error:
        return [_server(), Finding(what="settings", state="fail", text=str(error))]
    return [_server(), *_store(settings), *_folder(settings.data), _port(settings), _page()]


def _server() -> Finding:
    """Whether the server can be imported whole: the doctor itself needs only some of its packages."""
    try:
        importlib.import_module("nanobana_server.app")
    except ImportError as error:
        text = f"cannot be loaded: {error}"
        return Finding(what="server", state="fail", text=text, advice="pip install 'nanobana[server]'")
    return Finding(what="server", text="every package it needs is here")


def _store(settings: ServeSettings) -> list[Finding]:
    if settings.redis_url is not None:
        return store_doctor.look(settings.redis_url)
    try:
        return [Finding(what="store", text=f"embedded Valkey, {store.binary()}, every write on disk at once")]
    except ServeError as error:
        return [Finding(what="store", state="fail", text=str(error), advice="or set NANOBANA_REDIS_URL")]


def _folder(data: Path) -> list[Finding]:
    """The data folder and, where that can be written, the room on its disk."""
    try:
        there = _nearest(data)
        with tempfile.TemporaryFile(dir=there):
            pass
        free = shutil.disk_usage(there).free
    except OSError as error:
        text = f"{data} cannot be written: {error.strerror}"
        return [Finding(what="data folder", state="fail", text=text, advice="set NANOBANA_DATA to another one")]
    found = [Finding(what="data folder", text=str(data) + ("" if there == data else " (made at the first start)"))]
    text = f"{free / 2**30:.1f} GiB free"
    if free < ROOM_BYTES:
        return [
            *found,
            Finding(what="disk", state="warn", text=text, advice="make room: a full disk stops every change"),
        ]
    return [*found, Finding(what="disk", text=text)]


def _nearest(folder: Path) -> Path:
    """The folder itself, or the nearest above it that exists.

    Raises:
        PermissionError: one on the way may not be entered, so that nobody can say.
    """
    for each in (folder, *folder.parents):
        try:
            each.stat()
        except FileNotFoundError:
            continue
        return each
    raise FileNotFoundError(folder)


def _port(settings: ServeSettings) -> Finding:
    try:
        check_port(settings.host, settings.port)
    except ServeError as error:
        return Finding(what="port", state="warn", text=str(error), advice="fine if that is nanobana; else set PORT")
    return Finding(what="port", text=f"{settings.port} is free")


def _page() -> Finding:
    page = Settings.model_fields["static"].default / "index.html"
    if page.exists():
        return Finding(what="page", text="built")
    return Finding(what="page", state="fail", text="the web client is not built", advice="make web")
