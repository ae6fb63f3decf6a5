"""What the server's side of `nanobana doctor` looks at: the store, the data folder, the port and the page."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

import anyio

from nanobana.findings import Finding
from nanobana.keyspace.client import Client
from nanobana.protocol.errors import NanobanaError
from nanobana_server.allinone import store
from nanobana_server.allinone.errors import ServeError
from nanobana_server.allinone.settings import ServeSettings, check_port, read
from nanobana_server.settings import Settings

ROOM_BYTES = 2 << 30
"""Less free space on the data folder's disk is worth a word."""
PATIENCE_S = 3.0


def look(environ: Mapping[str, str] | None = None) -> list[Finding]:
    """Everything, in the order in which a start needs it; nothing is started or changed."""
    try:
        settings = read(os.environ if environ is None else environ)
    except ServeError as error:
        return [Finding(what="settings", state="fail", text=str(error))]
    return [*_store(settings), _folder(settings.data), _disk(settings.data), _port(settings), _page()]


def _store(settings: ServeSettings) -> list[Finding]:
    if settings.redis_url is None:
        try:
            return [Finding(what="store", text=f"embedded Valkey, {store.binary()}, every write on disk at once")]
        except ServeError as error:
            return [Finding(what="store", state="fail", text=str(error), advice="or set NANOBANA_REDIS_URL")]
    try:
        fsync, policy = anyio.run(_asked, settings.redis_url)
    except (NanobanaError, TimeoutError, ValueError) as error:
        reason = str(error) or f"no answer within {PATIENCE_S:.0f} s"
        return [Finding(what="store", state="fail", text=f"{_shown(settings.redis_url)}: {reason}", advice="start it")]
    found = [Finding(what="store", text=f"{_shown(settings.redis_url)} answers")]
    if fsync == "always":
        found.append(
            Finding(what="store's fsync", text="always: nothing acknowledged is lost to a kill or a power cut")
        )
    else:
        text = f"{fsync}: a power cut or failover can lose the last seconds"
        found.append(Finding(what="store's fsync", state="warn", text=text, advice="CONFIG SET appendfsync always"))
    if policy != "noeviction":
        text = f"maxmemory-policy {policy} may drop parts of a canvas"
        advice = "CONFIG SET maxmemory-policy noeviction"
        found.append(Finding(what="store's policy", state="fail", text=text, advice=advice))
    return found


async def _asked(url: str) -> tuple[str, str]:
    """`appendfsync` ("no AOF" without one) and `maxmemory-policy`; "unknown" where the store does not tell."""
    client = Client(url, connections=1)
    try:
        with anyio.fail_after(PATIENCE_S):
            await client.call("PING")
            told: dict[str, str] = {}
            for name in ("appendonly", "appendfsync", "maxmemory-policy"):
                try:
                    told |= _texts(await client.call("CONFIG", "GET", name))
                except Exception:  # noqa: BLE001 - a managed store hides its settings, and that is all it means
                    told[name] = "unknown"
    finally:
        await client.aclose()
    fsync = "no AOF" if told.get("appendonly") == "no" else told.get("appendfsync", "unknown")
    policy = told.get("maxmemory-policy", "unknown")
    return fsync, "noeviction" if policy == "unknown" else policy


def _texts(reply: object) -> dict[str, str]:
    """A CONFIG GET reply as text, whichever shape the client gives it."""
    pairs = reply.items() if isinstance(reply, dict) else ()
    return {_text(name): _text(value) for name, value in pairs}


def _text(word: object) -> str:
    return word.decode() if isinstance(word, bytes) else str(word)


def _shown(url: str) -> str:
    """Without a password."""
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}"


def _folder(data: Path) -> Finding:
    there = next(parent for parent in (data, *data.parents) if parent.exists())
    try:
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as error:
        text = f"{data} cannot be written: {error.strerror}"
        return Finding(what="data folder", state="fail", text=text, advice="set NANOBANA_DATA to another one")
    return Finding(what="data folder", text=str(data) + ("" if data.exists() else " (made at the first start)"))


def _disk(data: Path) -> Finding:
    there = next(parent for parent in (data, *data.parents) if parent.exists())
    free = shutil.disk_usage(there).free
    text = f"{free / 2**30:.1f} GiB free"
    if free < ROOM_BYTES:
        return Finding(what="disk", state="warn", text=text, advice="make room: a full disk stops every change")
    return Finding(what="disk", text=text)


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
