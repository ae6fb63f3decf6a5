"""A whole canvas as one file: saved, opened again, and refused where it contradicts itself (C8, R10)."""

import io
import zipfile

import msgspec
import pytest

from nanobana.protocol.canvas import Layer
from nanobana.protocol.errors import BadInput, Conflict
from nanobana.protocol.geometry import Box
from nanobana_server.store import Store, ops
from support.strokes import BLUE, RED, Easel
from support.truth import check_blobs

SPOT = Box(10, 10, 300, 300)


async def painted(store: Store) -> Easel:
    easel = await Easel.new(store, width=600, height=400)
    await easel.paint("ana", SPOT, RED)
    await easel.paint("ben", Box(200, 200, 400, 390), BLUE)
    await easel.undo("ana")
    return easel


async def saved(store: Store, canvas: str, *, history: bool) -> bytes:
    out = io.BytesIO()
    await ops.write_canvas_file(store, canvas, out, history=history)
    return out.getvalue()


async def opened(store: Store, data: bytes) -> Easel:
    easel = await Easel.new(store, width=0, height=0)
    await ops.read_canvas_file(store, easel.id, io.BytesIO(data))
    return easel


def changed(data: bytes, name: str, content: bytes | None) -> bytes:
    """The same file with one part replaced or left out."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as source, zipfile.ZipFile(out, "w") as target:
        for info in source.infolist():
            if info.filename != name:
                target.writestr(info, source.read(info))
        if content is not None:
            target.writestr(name, content)
    return out.getvalue()


@pytest.mark.parametrize("history", [True, False])
async def test_c8_a_canvas_comes_out_of_its_file_as_it_went_in(store: Store, history: bool) -> None:
    easel = await painted(store)
    copy = await opened(store, await saved(store, easel.id, history=history))
    assert await copy.look() == await easel.look()
    assert (await copy.manifest()).canvas.width == 600
    await check_blobs(store, copy.id, await copy.manifest())


async def test_c8_a_file_with_history_brings_every_change(store: Store) -> None:
    easel = await painted(store)
    copy = await opened(store, await saved(store, easel.id, history=True))
    past = [change async for change in store.history(copy.id)]
    assert [(change.seq, change.op, change.kind) for change in past] == [
        (change.seq, change.op, change.kind) for change in await easel.log()
    ]
    red = await store.get_blob(copy.id, past[0].tiles[0].name)
    assert red == await store.get_blob(easel.id, past[0].tiles[0].name)


async def test_c8_people_go_on_painting_on_an_opened_file(store: Store) -> None:
    easel = await painted(store)
    copy = await opened(store, await saved(store, easel.id, history=True))
    before = await copy.look()
    done = await copy.paint("cy", Box(0, 0, 20, 20), RED)
    assert done.seq == 4
    await copy.undo("cy")
    assert await copy.look() == before
    assert len([change async for change in store.history(copy.id)]) == 5
    assert await store.archive_log(copy.id, kept_ms=0, chapter=1) == 1
    assert len([change async for change in store.history(copy.id)]) == 5


async def test_c8_a_canvas_that_began_already_takes_no_file(store: Store) -> None:
    easel = await painted(store)
    data = await saved(store, easel.id, history=False)
    with pytest.raises(Conflict):
        await ops.read_canvas_file(store, easel.id, io.BytesIO(data))


async def test_r10_a_file_that_contradicts_itself_is_refused(store: Store) -> None:
    easel = await painted(store)
    data = await saved(store, easel.id, history=True)
    shown = f"blobs/{(await easel.manifest()).tiles[0].name}"
    with zipfile.ZipFile(io.BytesIO(data)) as file:
        head = msgspec.json.decode(file.read("canvas.json"))
        history = file.read("history.jsonl").splitlines()
    wrong = {
        "no zip": b"PK nothing",
        "half a zip": data[: len(data) // 2],
        "not ours": changed(data, "canvas.json", None),
        "another format": changed(data, "canvas.json", b'{"format": "tldraw"}'),
        "too large": changed(data, "canvas.json", msgspec.json.encode(head | {"width": 1 << 30})),
        "a tile of no layer": changed(data, "canvas.json", msgspec.json.encode(head | {"layers": []})),
        "a picture is missing": changed(data, shown, None),
        "a picture is damaged": changed(data, shown, b"not the same"),
        "a gap": changed(data, "history.jsonl", b"\n".join(history[1:])),
        "another past": changed(data, "history.jsonl", b"\n".join([history[0], history[1], history[1]])),
    }
    for what, bad in wrong.items():
        with pytest.raises(BadInput) as refused:
            await opened(store, bad)
        assert refused.value.code == "bad_canvas_file", what


async def test_r10_a_tile_that_is_no_picture_is_refused(store: Store) -> None:
    from nanobana.raster.codec import blob_name

    easel = await Easel.new(store)
    bytes_of_nothing = b"<script>"
    name = blob_name(bytes_of_nothing)
    head = {
        "format": "nanobana-canvas",
        "version": 1,
        "width": 256,
        "height": 256,
        "layers": [Layer(id="base", name="Base")],
        "tiles": [["base", 0, 0, name]],
    }
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        file.writestr("canvas.json", msgspec.json.encode(head))
        file.writestr(f"blobs/{name}", bytes_of_nothing)
    with pytest.raises(BadInput, match="cannot be read"):
        await ops.read_canvas_file(store, easel.id, io.BytesIO(out.getvalue()))
