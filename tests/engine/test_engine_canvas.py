"""What a worker reads of a canvas: exactly the visible picture of the box, and no tile twice (C5, E9)."""

from collections.abc import AsyncIterator

import anyio
import numpy as np
import pytest

from nanobana.protocol.canvas import Layer, OpId
from nanobana.protocol.errors import NotFound
from nanobana.protocol.geometry import Box
from nanobana.protocol.messages import LayerSet
from nanobana.raster.codec import encode_png
from nanobana.raster.pixels import Rgba
from nanobana_engine.memory import Cache, Memory
from nanobana_engine.worker.canvas import CanvasReader
from nanobana_server.store import Store, open_store, ops
from nanobana_server.store.ops.export import visible_pixels
from support.edits import photo
from support.valkey import private_valkey

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def store() -> AsyncIterator[Store]:
    with private_valkey(fsync="no") as valkey:
        store = await open_store(valkey.url)
        await store.create_canvas("c", width=600, height=500, layers=[Layer(id="base", name="")])
        translucent = photo(400, 300, seed=2)
        translucent[..., 3] = 128
        await ops.import_image(store, "c", "ana", OpId("ana", 1), encode_png(photo(600, 500)), layer="photo")
        await ops.import_image(store, "c", "ana", OpId("ana", 2), encode_png(translucent), layer="veil", x=100, y=90)
        yield store
        await store.aclose()


def tiles(limit_bytes: int = 1 << 30) -> Cache[str, Rgba]:
    """A cache of decoded tiles."""
    return Memory(budget_bytes=limit_bytes, cache_bytes=limit_bytes).cache("tiles", 1.0)


async def test_c5_a_worker_sees_the_picture_that_everybody_sees(store: Store) -> None:
    await ops.layer_op(store, "c", "ana", LayerSet(op=OpId("ana", 3), layer="veil", opacity=0.5))
    reader = CanvasReader(store.client, anyio.CapacityLimiter(1), tiles())
    seen = await reader.look("c")
    assert seen.size == (600, 500)
    whole = await visible_pixels(store, "c")
    for box in (Box(0, 0, 600, 500), Box(70, 60, 300, 257), Box(250, 250, 262, 262)):
        picture, _ = await reader.picture("c", box, seen)
        assert np.array_equal(picture, whole[box.y0 : box.y1, box.x0 : box.x1])


async def test_c5_a_hidden_layer_is_not_read_and_a_change_is_noticed(store: Store) -> None:
    reader = CanvasReader(store.client, anyio.CapacityLimiter(1), tiles())
    before = await reader.look("c")
    await ops.layer_op(store, "c", "ana", LayerSet(op=OpId("ana", 3), layer="veil", visible=False))
    picture, _ = await reader.picture("c", Box(100, 100, 300, 300), before)
    assert np.array_equal(picture, photo(600, 500)[100:300, 100:300])


async def test_e9_decoded_tiles_are_remembered_within_their_budget(store: Store) -> None:
    cache = tiles(2 * 256 * 256 * 4)
    reader = CanvasReader(store.client, anyio.CapacityLimiter(1), cache)
    seen = await reader.look("c")
    for _ in range(2):
        await reader.picture("c", Box(0, 0, 600, 500), seen)
    assert (len(cache), cache.used_bytes) == (2, 2 * 256 * 256 * 4)
    cache.check_integrity()


async def test_a_canvas_that_does_not_exist_is_named(store: Store) -> None:
    with pytest.raises(NotFound, match="nowhere"):
        await CanvasReader(store.client, anyio.CapacityLimiter(1), tiles()).look("nowhere")
