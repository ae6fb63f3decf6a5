"""The cache of decoded tiles and the thread pool for pixel work."""

import threading

import anyio
import numpy as np
import pytest

from nanobana_server.store.blobs import TileCache
from nanobana_server.store.pool import Pool


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def test_the_longest_unused_tile_is_forgotten_first() -> None:
    cache = TileCache(most=2)
    for name in ("a", "b"):
        cache.put(name, np.zeros((256, 256, 4), np.uint8))
    assert cache.get("a") is not None
    cache.put("c", np.zeros((256, 256, 4), np.uint8))
    assert cache.get("b") is None
    assert cache.get("a") is not None


def test_a_cached_tile_cannot_be_painted_on() -> None:
    cache = TileCache()
    cache.put("a", np.zeros((256, 256, 4), np.uint8))
    tile = cache.get("a")
    assert tile is not None
    with pytest.raises(ValueError, match="read-only"):
        tile[0, 0] = 1


async def test_no_more_pixel_work_runs_at_once_than_there_are_threads_and_none_on_the_event_loop() -> None:
    pool = Pool(2)
    lock = threading.Lock()
    now = most = 0
    loop_thread = threading.get_ident()
    gate = threading.Event()

    def work() -> bool:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        gate.wait(0.05)
        with lock:
            now -= 1
        return threading.get_ident() != loop_thread

    answers: list[bool] = []

    async def one() -> None:
        answers.append(await pool.run(work))

    async with anyio.create_task_group() as group:
        for _ in range(8):
            group.start_soon(one)
    assert most == 2
    assert answers == [True] * 8
