"""Import, export and mip levels (C2, C8)."""

import io

import anyio
import numpy as np
import pytest
from PIL import Image

from nanobana.protocol.errors import BadInput, Conflict, NotFound
from nanobana.protocol.geometry import Box, mip_key
from nanobana.protocol.messages import LayerSet
from nanobana.raster.codec import decode_tile
from nanobana.raster.mips import halve
from nanobana_server.store import Store, ops
from nanobana_server.store.ops.export import visible_pixels
from support.strokes import RED, Easel, Pixels


def photo(width: int, height: int) -> Pixels:
    ramp = np.linspace(0, 200, width, dtype=np.float32)[None, :, None] + np.zeros((height, 1, 3), np.float32)
    grain = np.random.default_rng(3).integers(0, 50, (height, width, 3))
    return np.asarray((ramp + grain).clip(0, 255), np.uint8)


def encoded(pixels: Pixels, kind: str = "PNG", **options: object) -> bytes:
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, kind, **options)
    return out.getvalue()


async def test_a_picture_becomes_a_layer_and_gives_the_canvas_its_size(store: Store) -> None:
    easel = await Easel.new(store, width=0, height=0)
    told: list[tuple[int, int]] = []

    async def progress(done: int, of: int) -> None:
        told.append((done, of))

    pixels = photo(700, 500)
    op = easel.op()
    made = await ops.import_image(
        store, easel.id, "ana", op, encoded(pixels), layer="photo", name="Sea", progress=progress
    )
    assert made.box == Box(0, 0, 700, 500)
    assert (await store.info(easel.id)).width == 700
    assert np.array_equal((await visible_pixels(store, easel.id))[..., :3], pixels)
    assert told[-1] == (9, 9), "six tiles, two of mip level 1 and one of level 2"
    assert told == sorted(told)
    assert await ops.import_image(store, easel.id, "ana", op, encoded(pixels), layer="photo") == made
    assert len(await easel.log()) == 1
    await easel.undo()
    assert [layer.id for layer in (await easel.manifest()).layers] == ["base"]
    assert await easel.names() == {}
    await easel.redo()
    assert np.array_equal((await visible_pixels(store, easel.id))[..., :3], pixels)


async def test_a_rotated_jpeg_is_imported_upright(store: Store) -> None:
    easel = await Easel.new(store, width=0, height=0)
    exif = Image.Exif()
    exif[0x0112] = 6
    made = await ops.import_image(
        store, easel.id, "ana", easel.op(), encoded(photo(60, 40), "JPEG", exif=exif), layer="photo"
    )
    assert (made.box.width, made.box.height) == (40, 60)


async def test_two_pictures_dropped_at_once_both_become_layers(store: Store) -> None:
    easel = await Easel.new(store, width=0, height=0)

    async def drop(user: str, width: int) -> None:
        await ops.import_image(store, easel.id, user, easel.op(user), encoded(photo(width, 90)), layer=f"of-{user}")

    async with anyio.create_task_group() as group:
        group.start_soon(drop, "ana", 100)
        group.start_soon(drop, "ben", 120)
    manifest = await easel.manifest()
    assert {layer.id for layer in manifest.layers} == {"base", "of-ana", "of-ben"}
    first = (await easel.log())[0]
    assert first.canvas is not None
    assert manifest.canvas.width == first.canvas.width


async def test_r10_what_is_no_picture_changes_nothing(store: Store, easel: Easel) -> None:
    bomb = io.BytesIO()
    Image.new("1", (8192, 8192)).save(bomb, "PNG")
    truncated = encoded(photo(300, 300), "JPEG")[:-2000]
    for data, code in ((bomb.getvalue(), "image_too_big"), (b"%!PS-Adobe", "image_format"), (truncated, "bad_image")):
        with pytest.raises(BadInput) as refusal:
            await ops.import_image(store, easel.id, "ana", easel.op(), data, layer="x")
        assert refusal.value.code == code
    assert (await store.position(easel.id)).seq == 0
    assert (await store.info(easel.id)).used_bytes == 0


async def test_export_shows_what_is_visible(store: Store, easel: Easel) -> None:
    await easel.paint("ana", Box(0, 0, 300, 300), RED)
    png = np.array(Image.open(io.BytesIO(await ops.export_png(store, easel.id))))
    assert png.shape == (768, 1024, 4)
    assert png[10, 10].tolist() == list(RED)
    await ops.layer_op(store, easel.id, "ana", LayerSet(op=easel.op(), layer="base", visible=False))
    assert not np.array(Image.open(io.BytesIO(await ops.export_png(store, easel.id)))).any()


async def test_c2_a_mip_tile_shows_its_base_tiles_and_is_stale_when_they_change(store: Store, easel: Easel) -> None:
    pixels = photo(512, 512)
    await ops.import_image(store, easel.id, "ana", easel.op(), encoded(pixels), layer="photo")
    names = await easel.names()
    key = mip_key([names["photo", x, y] for y in range(2) for x in range(2)])
    data = await store.mip_tile(easel.id, "photo", 1, 0, 0, key)
    assert np.array_equal(
        decode_tile(data)[..., :3], halve(np.dstack([pixels, np.full((512, 512), 255, np.uint8)]))[..., :3]
    )
    await easel.paint("ana", Box(0, 0, 10, 10), RED, layer="photo")
    after = await easel.names()
    newer = mip_key([after["photo", x, y] for y in range(2) for x in range(2)])
    assert decode_tile(await store.mip_tile(easel.id, "photo", 1, 0, 0, newer))[2, 2].tolist() == list(RED)
    with pytest.raises(Conflict) as refusal:
        await store.mip_tile(easel.id, "photo", 1, 0, 0, "0" * 16)
    assert refusal.value.code == "stale"


async def test_c2_higher_mip_levels_are_made_from_lower_ones_when_first_asked_for(store: Store, easel: Easel) -> None:
    await easel.paint("ana", Box(0, 0, 1000, 700), RED)
    names = await easel.names()
    key = mip_key([names.get(("base", x, y), "") for y in range(8) for x in range(8)])
    tile = decode_tile(await store.mip_tile(easel.id, "base", 3, 0, 0, key))
    assert tile[0, 0].tolist() == list(RED)
    assert tile[86, 124].tolist() == list(RED)
    assert not tile[90:].any()
    empty = mip_key([""] * 4)
    with pytest.raises(NotFound):
        await store.mip_tile(easel.id, "base", 1, 50, 50, empty)
    with pytest.raises(BadInput):
        await store.mip_tile(easel.id, "base", 9, 0, 0, key)


async def test_c2_the_cache_of_mips_forgets_the_longest_unused(store: Store, easel: Easel) -> None:
    from nanobana.keyspace.keys import CanvasKeys

    keys = CanvasKeys(easel.id)
    for n in range(5):
        await store.client.run("put_mip", [keys.meta, keys.mips, keys.mip_ages], [f"k{n}", b"x" * 100, 250])
    assert set(await store.client.call("HKEYS", keys.mips)) == {b"k3", b"k4"}
    assert await store.client.call("HGET", keys.meta, "mip_bytes") == b"200"
