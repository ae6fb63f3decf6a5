"""Upkeep: long logs become chapters, bytes of history go to the cellar, canvases nobody opens go to sleep (C8, C12)."""

import anyio
import msgspec
import structlog

from nanobana.keyspace import keys as names
from nanobana.keyspace.keys import CanvasKeys
from nanobana.protocol.errors import NanobanaError
from nanobana_server.store import Store

EVERY_S = 60.0

_TURN = f"{names.PREFIX}:upkeep"

_log = structlog.get_logger("nanobana.upkeep")


async def run_upkeep(store: Store, sleep_after_ms: int | None, every_s: float = EVERY_S) -> None:
    """Look after all canvases for ever; of several servers one has the turn at a time.

    Args:
        sleep_after_ms: a canvas that nobody changed and nobody looks at for so long goes to sleep; None: never.
    """
    while True:
        try:
            if await store.client.call("SET", _TURN, "1", "NX", "PX", max(1, int(every_s * 900))):
                await look_after_all(store, sleep_after_ms)
        except (NanobanaError, msgspec.MsgspecError) as error:
            _log.warning("upkeep failed", reason=str(error))
        await anyio.sleep(every_s)


async def look_after_all(store: Store, sleep_after_ms: int | None = None) -> None:
    """Every canvas once; what fails with one is logged and does not keep the others waiting."""
    for canvas in await store.canvases():
        try:
            await look_after(store, canvas, sleep_after_ms)
        except (NanobanaError, msgspec.MsgspecError) as error:
            _log.warning("upkeep of a canvas failed", canvas=canvas, reason=str(error))


async def look_after(store: Store, canvas: str, sleep_after_ms: int | None = None) -> None:
    """One canvas: its log, its bytes, its sleep."""
    changed = await store.client.call("HGET", CanvasKeys(canvas).meta, "updated_ms")
    if changed is None:
        return  # asleep
    chapters = await store.archive_log(canvas)
    freed = await store.sweep_blobs(canvas)
    released = await store.release_blobs(canvas)
    if chapters or freed or released:
        _log.info("canvas tidied", canvas=canvas, chapters=chapters, orphan_bytes=freed, history_bytes=released)
    idle_ms = await store.now_ms() - int(changed)
    if sleep_after_ms is not None and idle_ms > sleep_after_ms and await store.put_to_sleep(canvas):
        _log.info("canvas went to sleep", canvas=canvas, idle_days=idle_ms // 86_400_000)
