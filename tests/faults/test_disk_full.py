"""A disk that is full under the store: what was acknowledged is there when there is room again (C10, C12)."""

from __future__ import annotations

import resource
from collections.abc import AsyncIterator, Iterator

import anyio
import msgspec
import pytest

from nanobana.protocol.canvas import Change, OpId
from nanobana.protocol.errors import NanobanaError
from nanobana.protocol.geometry import Box
from nanobana_server.store import Store, open_store, ops
from support.strokes import Easel
from support.valkey import PrivateValkey, private_valkey

pytestmark = [pytest.mark.faults, pytest.mark.timeout(180)]

ROOM = 400_000
"""Bytes that the store's files may grow to."""


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def valkey() -> Iterator[PrivateValkey]:
    with private_valkey(fsync="always") as valkey:
        yield valkey


@pytest.fixture
async def store(valkey: PrivateValkey) -> AsyncIterator[Store]:
    store = await open_store(valkey.url)
    yield store
    await store.aclose()


async def paint_until_refused(store: Store, easel: Easel) -> tuple[dict[OpId, int], OpId]:
    """Seqs of what was acknowledged, and the op that was not."""
    acknowledged: dict[OpId, int] = {}
    for n in range(2000):
        colour = (n % 256, n // 256, 77, 255)
        stroke = easel.stroke("ana", Box(n % 700, 10, n % 700 + 200, 210), colour)
        try:
            acknowledged[stroke.op] = (await ops.paint(store, easel.id, "ana", stroke)).seq
        except NanobanaError:
            return acknowledged, stroke.op
    raise AssertionError("the disk never was full")


async def logged(store: Store, easel: Easel) -> dict[OpId, int]:
    found: dict[OpId, int] = {}
    while tail := await store.read_tail(easel.id, max(found.values(), default=0)):
        found |= {msgspec.msgpack.decode(data, type=Change).op: seq for seq, data in tail}
    return found


async def test_c10_a_full_disk_loses_nothing_acknowledged_and_work_goes_on_when_there_is_room(
    valkey: PrivateValkey, store: Store
) -> None:
    easel = await Easel.new(store)
    resource.prlimit(valkey.pid, resource.RLIMIT_FSIZE, (ROOM, ROOM))

    acknowledged, refused = await paint_until_refused(store, easel)
    with anyio.move_on_after(5):
        while valkey.process is not None and valkey.process.poll() is None:  # noqa: ASYNC110 - a process has no event
            await anyio.sleep(0.02)
    valkey.kill()
    valkey.start()  # without the limit: somebody made room

    found = await logged(store, easel)
    assert len(acknowledged) > 10
    assert {op: seq for op, seq in found.items() if op in acknowledged} == acknowledged
    assert set(found) <= {*acknowledged, refused}, "at most the one that got no answer came through"
    done = await ops.paint(store, easel.id, "ana", easel.stroke("ana", Box(0, 0, 9, 9)))
    assert done.seq == len(found) + 1
    assert await easel.pixel(4, 4) == (255, 0, 0, 255)
