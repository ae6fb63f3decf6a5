"""Upkeep: long logs become chapters, bytes of history go to the cellar, canvases nobody opens go to sleep (C8, C12)."""

import anyio
import msgspec
import structlog

from nanobana.keyspace import keys as names
from nanobana.keyspace.keys import CanvasKeys
from nanobana.protocol.errors import NanobanaError
from nanobana_server.jobs.turn import take_turn
from nanobana_server.store import Store
from nanobana_server.store.history import CHAPTER, KEPT_MS
from nanobana_server.store.release import GRACE_MS

EVERY_S = 60.0
SOON_MS = 60_000
DAY_MS = 86_400_000
AT_ONCE = 64

_DAY = f"{names.PREFIX}:upkeep:all"
_TURN = f"{names.PREFIX}:upkeep"

_log = structlog.get_logger("nanobana.upkeep")


async def run_upkeep(store: Store, sleep_after_ms: int | None, every_s: float = EVERY_S) -> None:
    """Look after the canvases that are due, for ever; of several servers one has the turn at a time.

    Args:
        sleep_after_ms: a canvas that nobody changed and nobody looks at for so long goes to sleep; None: never.
    """
    while True:
        try:
            if await take_turn(store, _TURN, max(1, int(every_s * 900))):
                await look_around(store, sleep_after_ms)
        except (NanobanaError, msgspec.MsgspecError) as error:
            _log.warning("upkeep failed", reason=str(error))
        await anyio.sleep(every_s)


async def look_around(store: Store, sleep_after_ms: int | None = None) -> None:
    """Every canvas that is due, and once a day all; what fails with one is logged and keeps no other waiting."""
    if await take_turn(store, _DAY, DAY_MS):
        await store.stir_all()
    while due := await store.due(AT_ONCE):
        for canvas, seen in due:
            again_ms: int | None = await store.now_ms() + SOON_MS
            try:
                again_ms = await look_after(store, canvas, sleep_after_ms)
            except (NanobanaError, msgspec.MsgspecError) as error:
                _log.warning("upkeep of a canvas failed", canvas=canvas, reason=str(error))
            await store.settled(canvas, seen, again_ms)


async def look_after(store: Store, canvas: str, sleep_after_ms: int | None = None) -> int | None:
    """One canvas: its outbox, its log, its bytes, its sleep.

    Returns:
        When it must be looked after again though nothing happens in it, ms by the store's clock; None: not at all.
    """
    keys = CanvasKeys(canvas)
    changed = await store.client.call("HGET", keys.meta, "updated_ms")
    if changed is None:
        return await store.purge(canvas)  # deleted, or asleep
    is_open = await store.client.call("EXISTS", keys.open_jobs)
    if is_open:  # the index of outboxes may have lost it
        await store.client.call("SADD", names.canvas_index(names.shard_of(canvas)), canvas)
    chapters = await store.archive_log(canvas)
    freed = await store.sweep_blobs(canvas)
    released = await store.release_blobs(canvas)
    if chapters or freed or released:
        _log.info("canvas tidied", canvas=canvas, chapters=chapters, orphan_bytes=freed, history_bytes=released)
    now_ms = await store.now_ms()
    sleeps_ms = None if sleep_after_ms is None else int(changed) + sleep_after_ms
    if sleeps_ms is not None and now_ms > sleeps_ms:
        if await store.put_to_sleep(canvas):
            _log.info("canvas went to sleep", canvas=canvas, idle_days=(now_ms - int(changed)) // 86_400_000)
            return None
        sleeps_ms = now_ms + GRACE_MS
    times_ms = [] if sleeps_ms is None else [sleeps_ms]
    if is_open:
        times_ms.append(now_ms + SOON_MS)
    if await store.client.call("XLEN", keys.log) > CHAPTER:
        times_ms.append(now_ms + KEPT_MS)
    if await store.client.call("ZCOUNT", keys.blob_ages, "-inf", "(+inf"):  # uploads, and what only history names
        times_ms.append(now_ms + GRACE_MS)
    return min(times_ms, default=None)
