"""Looking back at a canvas and bringing it back, all of it or a region, byte for byte (C9, C13)."""

from pathlib import Path

import numpy as np
import pytest

from nanobana.keyspace.keys import CanvasKeys
from nanobana.protocol.canvas import Manifest
from nanobana.protocol.errors import BadInput, NotFound
from nanobana.protocol.geometry import Box
from nanobana.protocol.messages import CanvasSet, LayerAdd, LayerDelete, LayerMove, LayerSet, Restore, VersionSet
from nanobana_server.store import ops
from nanobana_server.store.cellar import Cellar
from nanobana_server.store.ops.export import visible_pixels
from support.late import Late
from support.strokes import BLUE, GREEN, RED, Easel, author


def contents(manifest: Manifest) -> tuple[object, ...]:
    """Equal for two moments exactly when layers, tile names and size are."""
    tiles = sorted((tile.layer, tile.tx, tile.ty, tile.name) for tile in manifest.tiles)
    return manifest.layers, tiles, (manifest.canvas.width, manifest.canvas.height)


async def busy_past(easel: Easel) -> dict[int, tuple[object, ...]]:
    """Strokes, layers and sizes by two people: seq → what the canvas was then."""
    store, seen = easel.store, {0: contents(await easel.manifest())}

    async def note() -> None:
        manifest = await easel.manifest()
        seen[manifest.position.seq] = contents(manifest)

    await easel.paint("ana", Box(0, 0, 300, 300), RED)
    await note()
    await ops.layer_op(store, easel.id, "ben", LayerAdd(op=easel.op("ben"), layer="sky", name="Sky"))
    await note()
    await easel.paint("ben", Box(100, 100, 700, 500), BLUE, layer="sky")
    await note()
    await ops.layer_op(store, easel.id, "ana", LayerSet(op=easel.op(), layer="sky", opacity=0.5, name="Dusk"))
    await note()
    await ops.layer_op(store, easel.id, "ana", LayerAdd(op=easel.op(), layer="ink", name="Ink"))
    await note()
    await ops.layer_op(store, easel.id, "ben", LayerMove(op=easel.op("ben"), layer="base", index=2))
    await note()
    await easel.paint("ana", Box(20, 20, 600, 60), GREEN, layer="ink")
    await note()
    await ops.layer_op(store, easel.id, "ana", LayerDelete(op=easel.op(), layer="sky"))
    await note()
    await ops.canvas_set(store, easel.id, "ben", CanvasSet(op=easel.op("ben"), width=1500, height=400))
    await note()
    await easel.undo("ana")
    await note()
    return seen


async def test_c13_every_moment_can_be_looked_at_as_it_was(easel: Easel) -> None:
    for seq, then in (await busy_past(easel)).items():
        assert contents(await easel.store.canvas_at(easel.id, seq)) == then


async def test_c13_every_moment_can_be_looked_at_from_the_chapters_too(easel: Easel) -> None:
    seen = await busy_past(easel)
    assert await easel.store.archive_log(easel.id, kept_ms=0, chapter=3) == 3
    for seq in sorted(seen, reverse=True):
        assert contents(await easel.store.canvas_at(easel.id, seq)) == seen[seq]
    assert [change.seq for change in await easel.store.changes_before(easel.id, None, 200)] == list(range(10, 0, -1))
    assert [change.seq for change in await easel.store.changes_before(easel.id, 8, 5)] == [7, 6, 5, 4, 3]


async def test_c13_any_moment_comes_back_byte_for_byte_and_undo_takes_that_back(easel: Easel) -> None:
    seen = await busy_past(easel)
    newest = contents(await easel.manifest())
    for seq, then in seen.items():
        if then == newest:
            continue
        await easel.restore("cleo", seq)
        assert contents(await easel.manifest()) == then, f"restored {seq}"
        await easel.undo("cleo")
        assert contents(await easel.manifest()) == newest, f"took {seq} back"
        await easel.redo("cleo")
        assert contents(await easel.manifest()) == then, f"and again {seq}"
        await easel.undo("cleo")


async def test_c13_a_region_comes_back_byte_for_byte_and_nothing_else_changes(easel: Easel) -> None:
    await easel.paint("ana", Box(0, 0, 900, 700), RED)
    then = await visible_pixels(easel.store, easel.id)
    seq = (await easel.manifest()).position.seq
    await easel.paint("ben", Box(50, 50, 800, 600), BLUE)
    now = await visible_pixels(easel.store, easel.id)
    box = Box(100, 130, 640, 555)

    await easel.restore("cleo", seq, box)

    got = await visible_pixels(easel.store, easel.id)
    inside = np.zeros(now.shape[:2], bool)
    inside[box.y0 : box.y1, box.x0 : box.x1] = True
    assert np.array_equal(got[inside], then[inside])
    assert np.array_equal(got[~inside], now[~inside])
    await easel.undo("cleo")
    assert np.array_equal(await visible_pixels(easel.store, easel.id), now)


async def test_c13_a_region_of_a_deleted_layer_brings_the_layer_back_above_the_one_it_was_above(easel: Easel) -> None:
    store = easel.store
    await ops.layer_op(store, easel.id, "ben", LayerAdd(op=easel.op("ben"), layer="sky", name="Sky"))
    await easel.paint("ben", Box(0, 0, 600, 600), BLUE, layer="sky")
    await ops.layer_op(store, easel.id, "ben", LayerAdd(op=easel.op("ben"), layer="top", name="Top"))
    seq = (await easel.manifest()).position.seq
    await ops.layer_op(store, easel.id, "ben", LayerDelete(op=easel.op("ben"), layer="sky"))

    await easel.restore("cleo", seq, Box(300, 300, 400, 400))

    assert [layer.id for layer in (await easel.manifest()).layers] == ["base", "sky", "top"]
    assert await easel.pixel(350, 350) == BLUE
    assert (await easel.pixel(299, 299))[3] == 0


async def test_c9_undoing_a_restore_leaves_what_others_painted_since(easel: Easel) -> None:
    await easel.paint("ana", Box(0, 0, 200, 200), RED)
    await easel.paint("ana", Box(0, 0, 200, 200), GREEN)
    await easel.restore("ben", 1)
    await easel.paint("cleo", Box(0, 0, 50, 50), BLUE)
    await easel.undo("ben")
    assert await easel.pixel(10, 10) == BLUE
    assert await easel.pixel(100, 100) == GREEN


async def test_c13_a_moment_comes_back_from_the_cellar(tmp_path: Path, easel: Easel) -> None:
    store = easel.store
    store.cellar = Cellar(str(tmp_path / "cellar"))
    await easel.paint("ana", Box(0, 0, 300, 300), RED)
    then = contents(await easel.manifest())
    await easel.paint("ana", Box(0, 0, 300, 300), GREEN)
    keys = CanvasKeys(easel.id)
    await store.archive_log(easel.id, kept_ms=0, chapter=1)
    await store.client.call("DEL", keys.history, keys.undo, keys.stacks, keys.flips)
    await store.client.call("XTRIM", keys.log, "MAXLEN", 0)
    await store.release_blobs(easel.id, grace_ms=0)
    assert await store.release_blobs(easel.id, grace_ms=0) > 0

    await easel.restore("ben", 1)

    assert contents(await easel.manifest()) == then
    store.cellar = None
    assert await easel.pixel(5, 5) == RED  # its bytes are in the store again


async def test_c13_what_cannot_be_brought_back_is_refused_and_says_why(easel: Easel) -> None:
    await easel.paint("ana", Box(0, 0, 30, 30), RED)
    outside = Box(9000, 0, 9100, 10)
    for seq, box, code in [(9, None, "no_moment"), (1, None, "nothing_changed"), (0, outside, "outside")]:
        with pytest.raises((NotFound, BadInput)) as refused:
            await easel.restore("ana", seq, box)
        assert refused.value.code == code
    assert (await easel.manifest()).position.seq == 1


async def test_c13_moments_get_names_that_can_change_and_go(easel: Easel) -> None:
    store = easel.store
    await easel.paint("ana", Box(0, 0, 30, 30), RED)

    async def name(text: str, version: str = "v1", seq: int = 1) -> None:
        message = VersionSet(op=easel.op(), version=version, name=text, seq=seq)
        await ops.version_set(store, easel.id, author(), message)

    await name("First sketch")
    await name("Second", "v2", 2)
    await name("First draft")
    found = await store.versions(easel.id)
    assert [(version.name, version.seq, version.user_name) for version in found] == [
        ("Second", 2, "Ana"),
        ("First draft", 1, "Ana"),
    ]
    await name("")
    assert [version.name for version in await store.versions(easel.id)] == ["Second"]
    with pytest.raises(NotFound, match="no such version"):
        await name("")
    with pytest.raises(NotFound, match="not come yet"):
        await name("Future", "v3", 99)


async def test_c13_a_thumbnail_shows_a_moment_and_not_today(easel: Easel) -> None:
    from nanobana.raster.decode import decode_image

    await easel.paint("ana", Box(0, 0, 1024, 768), RED)
    await easel.paint("ana", Box(0, 0, 1024, 768), BLUE)
    for seq, colour in ((1, RED), (2, BLUE)):
        picture = decode_image(await easel.store.past_thumb(easel.id, seq))
        assert picture.shape == (108, 144, 4)
        assert np.abs(picture[50, 70].astype(int) - colour).max() < 12


@pytest.mark.parametrize("box", [None, Box(0, 0, 700, 300)])
async def test_c13_what_is_painted_while_a_moment_comes_back_was_first(easel: Easel, box: Box | None) -> None:
    await easel.paint("ana", Box(0, 0, 50, 50), RED)
    then = contents(await easel.manifest())
    await easel.paint("ana", Box(600, 0, 650, 50), RED)
    message = Restore(op=easel.op(), seq=1, box=box)

    async def meanwhile() -> None:
        await easel.paint("ben", Box(0, 0, 50, 50), BLUE)
        await easel.paint("ben", Box(300, 0, 350, 50), BLUE)

    await ops.restore(Late(easel.store, meanwhile), easel.id, "ana", message)
    assert contents(await easel.manifest()) == then
