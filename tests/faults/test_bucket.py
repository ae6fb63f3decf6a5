"""Canvases sleep in a real S3-compatible store, through the real s3fs, whatever is killed in between (C8, C12)."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import anyio
import pytest
from anyio import to_thread

from nanobana.keyspace.keys import CanvasKeys
from nanobana.protocol.canvas import Change
from nanobana.protocol.errors import Unavailable
from nanobana.protocol.geometry import Box
from nanobana_server.store import Store, open_store
from nanobana_server.store.cellar import Cellar
from support.bucket import BUCKET, Bucket, running_bucket, weed
from support.server_process import PYTHONPATH, ServerProcess
from support.strokes import BLUE, RED, Easel
from support.valkey import PrivateValkey, private_valkey

pytestmark = [
    pytest.mark.faults,
    pytest.mark.soak,
    pytest.mark.timeout(240),
    pytest.mark.skipif(weed() is None, reason="needs s3fs and SeaweedFS, which `make soak` installs"),
]
CELLAR = f"s3://{BUCKET}/cellar"


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def valkey() -> Iterator[PrivateValkey]:
    with private_valkey(fsync="no") as running:
        yield running


@pytest.fixture(scope="module")
def bucket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bucket]:
    with pytest.MonkeyPatch.context() as patch, running_bucket(tmp_path_factory.mktemp("bucket")) as bucket:
        for name, value in bucket.environment.items():
            patch.setenv(name, value)
        bucket.start()
        yield bucket


@pytest.fixture
async def store(valkey: PrivateValkey, bucket: Bucket) -> AsyncIterator[Store]:
    store = await open_store(valkey.url, cellar=await to_thread.run_sync(Cellar, CELLAR))
    yield store
    await store.aclose()


async def painted(store: Store) -> Easel:
    """Something on many tiles, and a past in chapters."""
    easel = await Easel.new(store)
    for n in range(6):
        await easel.paint("ana", Box(n * 150, 10, n * 150 + 200, 300), RED if n % 2 else BLUE)
    await store.archive_log(easel.id, kept_ms=0, chapter=2)
    return easel


def sleeper(url: str, canvas: str) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "PYTHONPATH": f"{PYTHONPATH}:{Path(__file__).parents[1]}"}
    return subprocess.Popen([sys.executable, "-m", "support.sleeper", url, CELLAR, canvas], env=environment)


async def history(store: Store, canvas: str) -> list[Change]:
    return [change async for change in store.history(canvas)]


async def objects(bucket: Bucket, canvas: str) -> list[str]:
    """SeaweedFS also lists the folder itself, which a bucket elsewhere has not."""
    found: list[str] = await to_thread.run_sync(bucket.files.find, f"{BUCKET}/cellar/{canvas}")
    return [name for name in found if f"/{canvas}/" in name]


async def test_c8_a_canvas_sleeps_in_a_bucket_and_wakes_as_it_was_with_its_past(store: Store, bucket: Bucket) -> None:
    easel = await painted(store)
    before, past = await easel.manifest(), await history(store, easel.id)
    assert await store.put_to_sleep(easel.id)
    assert await store.client.call("EXISTS", CanvasKeys(easel.id).meta) == 0
    assert await store.wake(easel.id)
    assert await easel.manifest() == before
    assert await history(store, easel.id) == past
    await easel.undo("ana")
    assert await easel.pixel(940, 20) == (0, 0, 0, 0)


async def test_c12_a_deleted_canvas_leaves_nothing_in_the_bucket(store: Store, bucket: Bucket) -> None:
    easel = await painted(store)
    await store.put_to_sleep(easel.id)
    assert await objects(bucket, easel.id)
    await store.delete_canvas(easel.id)
    assert await objects(bucket, easel.id) == []


@pytest.mark.parametrize("written", [1, 3, 6])
async def test_c8_a_server_that_is_killed_while_a_canvas_falls_asleep_loses_nothing(
    store: Store, valkey: PrivateValkey, bucket: Bucket, written: int
) -> None:
    easel = await painted(store)
    before, past = await easel.manifest(), await history(store, easel.id)
    process = await to_thread.run_sync(sleeper, valkey.url, easel.id)
    with anyio.fail_after(60):
        while len(await objects(bucket, easel.id)) < written:
            assert process.poll() is None
    process.kill()
    await to_thread.run_sync(process.wait)
    await store.wake(easel.id)  # where it was done already
    assert await easel.manifest() == before
    assert await history(store, easel.id) == past
    assert await store.put_to_sleep(easel.id)
    assert await store.wake(easel.id)
    assert await easel.manifest() == before


async def test_c8_a_bucket_that_dies_costs_nothing_but_time(store: Store, bucket: Bucket) -> None:
    easel = await painted(store)
    bucket.kill()
    with pytest.raises(Unavailable) as away:
        await store.put_to_sleep(easel.id)
    assert away.value.code == "cellar_unavailable"
    await easel.paint("ben", Box(20, 400, 90, 500), BLUE)
    before = await easel.manifest()
    await to_thread.run_sync(bucket.start)
    assert await store.put_to_sleep(easel.id)
    bucket.kill()
    with pytest.raises(Unavailable):
        await store.wake(easel.id)
    await to_thread.run_sync(bucket.start)
    assert await store.wake(easel.id)
    assert await easel.manifest() == before


@pytest.mark.parametrize(
    ("url", "settings", "why"),
    [
        (CELLAR, {"AWS_SECRET_ACCESS_KEY": "wrong"}, "signature we calculated does not match"),
        ("s3://no-such-bucket/cellar", {}, "bucket does not exist"),
    ],
)
async def test_a_server_says_which_bucket_refuses_it_and_does_not_start(
    valkey: PrivateValkey, bucket: Bucket, tmp_path: Path, url: str, settings: dict[str, str], why: str
) -> None:
    server = ServerProcess(valkey.url, tmp_path / "log", {"NANOBANA_CELLAR": url, **settings})
    assert await to_thread.run_sync(server.run_to_its_end) == 78
    said = server.log.read_text("utf-8")
    assert f"NANOBANA_CELLAR: '{url}' cannot be used for history: " in said
    assert why in said
