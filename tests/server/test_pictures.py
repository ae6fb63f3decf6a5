"""Pictures over HTTP: taken upright with progress, refused with their own code, served by name for ever (C2, R10)."""

import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import httpx2 as httpx
import numpy as np
import pytest
from PIL import Image

from nanobana.protocol import messages as m
from nanobana.protocol.errors import BadInput, NotAllowed
from nanobana.protocol.geometry import Box, mip_key
from nanobana.sdk import files, join
from nanobana.sdk.link import Link
from support.bombs import eps, jpeg, png, png_bomb
from support.live_server import Links, LiveServer, live_server
from support.members import member, ticket_of
from support.ora import ora, sheet
from support.valkey import PrivateValkey


@asynccontextmanager
async def caller(server: LiveServer, link: Link) -> AsyncIterator[httpx.AsyncClient]:
    """HTTP as the holder of a link."""
    access = (await ticket_of(link))["access"]
    async with server.http(headers={"authorization": f"Bearer {access}"}) as http:
        http.base_url = httpx.URL(link.api)
        yield http


def at(n: int, layer: str = "photo") -> dict[str, str | int]:
    return {"client": "tab", "n": n, "layer": layer, "name": layer}


async def test_r10_a_rotated_jpeg_lies_upright_and_gives_the_canvas_its_size(server: LiveServer) -> None:
    links = await server.new_canvas(None, None)
    async with caller(server, links.edit) as http, member(links.view) as (ben, _):
        answer = await http.post("/images", params=at(1), content=jpeg(600, 400, orientation=6))
        assert answer.status_code == 201, answer.text
        assert answer.json() == {"seq": 1, "layer": "photo", "box": [0, 0, 400, 600]}
        progress = await ben.until(m.ImportProgress)
        assert 0 < progress.done <= progress.of
        change = (await ben.until(m.Changed)).change
        assert change.canvas is not None and (change.canvas.width, change.canvas.height) == (400, 600)
        shown = Image.open(io.BytesIO((await http.get("/export.png")).content))
        assert shown.size == (400, 600)
        top, bottom = shown.getpixel((200, 50)), shown.getpixel((200, 550))
        assert isinstance(top, tuple) and isinstance(bottom, tuple)
        assert top[0] > 200 > 50 > top[2] and bottom[2] > 200 > 50 > bottom[0]


@pytest.mark.parametrize(
    ("picture", "code"),
    [
        (png_bomb, "image_too_big"),
        (eps, "image_format"),
        (lambda: jpeg(300, 300)[:1500], "bad_image"),
        (lambda: b"", "image_format"),
        (lambda: b"GIF89a" + bytes(100), "image_format"),
        (lambda: png(20000, 1, "1"), "image_too_big"),
    ],
    ids=["8192² bomb", "EPS", "truncated JPEG", "nothing", "GIF", "too long"],
)
async def test_r10_a_picture_that_must_not_be_taken_is_refused_with_its_own_code(
    server: LiveServer, canvas: Links, picture: object, code: str
) -> None:
    assert callable(picture)
    data = picture()
    async with caller(server, canvas.edit) as http, member(canvas.edit) as (ana, _):
        answer = await http.post("/images", params=at(1), content=data)
        assert (answer.status_code, answer.json()["code"]) == (400, code)
        if code != "bad_image":  # the header is all that an upload is looked at for
            assert (await http.put("/blobs", content=data)).json()["code"] == code
        assert (await ana.do(m.LayerAdd(op=ana.op(), layer="sky", name="sky"))).seq == 1


def test_the_bomb_is_as_small_as_it_is_said_to_be() -> None:
    assert len(png_bomb()) < 250_000


@pytest.mark.parametrize("told", [True, False], ids=["by its header", "as it arrives"])
async def test_r10_an_upload_that_is_too_large_is_refused(valkey: PrivateValkey, told: bool) -> None:
    async def unannounced() -> AsyncIterator[bytes]:
        yield bytes(40_000)
        yield bytes(40_000)

    async with live_server(valkey.url, upload_bytes=65_536) as small:
        links = await small.new_canvas()
        async with caller(small, links.edit) as http:
            answer = await http.put("/blobs", content=bytes(80_000) if told else unannounced())
    assert (answer.status_code, answer.json()["code"]) == (413, "upload_too_big")


async def test_c6_an_import_that_is_sent_twice_makes_one_layer(server: LiveServer, canvas: Links) -> None:
    async with caller(server, canvas.edit) as http:
        answers = [await http.post("/images", params=at(1), content=jpeg(64, 64)) for _ in range(2)]
        assert answers[0].json() == answers[1].json()
        assert len((await http.get("/manifest")).json()["layers"]) == 1


async def test_c2_a_tile_is_served_for_ever_to_those_who_may_see_the_canvas(server: LiveServer, canvas: Links) -> None:
    other = await server.new_canvas()
    async with caller(server, canvas.edit) as http, caller(server, other.owner) as stranger:
        await http.post("/images", params=at(1), content=jpeg(64, 64))
        tile = (await http.get("/manifest")).json()["tiles"][0][3]
        answer = await http.get(f"/blobs/{tile}")
        assert answer.headers["content-type"] == "image/webp"
        assert answer.headers["cache-control"] == "private, max-age=31536000, immutable"
        assert answer.headers["x-content-type-options"] == "nosniff"
        again = await http.get(f"/blobs/{tile}", headers={"if-none-match": answer.headers["etag"]})
        assert again.status_code == 304
        assert (await stranger.get(f"/blobs/{tile}")).json()["code"] == "missing_blob"
        refused = await stranger.get(f"{canvas.edit.api}/blobs/{tile}")
        assert (refused.status_code, refused.json()["code"]) == (403, "no_access")
        assert (await http.get(f"/blobs/{'0' * 32}")).status_code == 404


async def test_c2_a_mip_tile_is_named_by_what_it_shows_and_stale_keys_are_refused(
    server: LiveServer, canvas: Links
) -> None:
    async with caller(server, canvas.edit) as http:
        await http.post("/images", params=at(1), content=jpeg(512, 512))
        tiles = {(x, y): name for _, x, y, name in (await http.get("/manifest")).json()["tiles"]}
        key = mip_key([tiles[x, y] for y in (0, 1) for x in (0, 1)])
        mip = await http.get(f"/mips/photo/1/0/0/{key}")
        assert Image.open(io.BytesIO(mip.content)).size == (256, 256)
        stale = await http.get(f"/mips/photo/1/0/0/{'f' * 16}")
        assert (stale.status_code, stale.json()["code"]) == (409, "stale")


async def test_a_blob_that_was_uploaded_can_be_painted_by_its_name(server: LiveServer, canvas: Links) -> None:
    async with caller(server, canvas.edit) as http, member(canvas.edit) as (ana, _):
        name = (await http.put("/blobs", content=png(300, 300, colour=(255, 0, 0, 255)))).json()["name"]
        await ana.do(m.LayerAdd(op=ana.op(), layer="sky", name="sky"))
        await ana.do(m.Paint(op=ana.op(), layer="sky", box=Box(0, 0, 300, 300), blob=name))
        shown = Image.open(io.BytesIO((await http.get("/export.png")).content))
        assert shown.getpixel((299, 299)) == (255, 0, 0, 255)


async def test_c1_the_layers_of_a_file_come_in_by_the_sdk_with_progress_for_the_room(server: LiveServer) -> None:
    links = await server.new_canvas(64, 48)
    glow = '<layer src="a.png" name="Glow" composite-op="svg:plus"/>'
    async with join(str(links.edit), name="Ana") as ana, member(links.view) as (ben, _):
        made = await ana.add_open_raster(ora(glow, a=sheet(20, 10, (255, 0, 0, 255))), name="Lamp", x=4)
        progress = await ben.until(m.ImportProgress)
        assert ana.you is not None and progress.user == ana.you.user and 0 < progress.done <= progress.of
        assert [(layer.name, layer.group) for layer in ana.layers] == [("Glow", False), ("Lamp", True)]
        assert (made.layer, len(made.notes)) == (ana.layers[1].id, 1)
        shown = Image.open(io.BytesIO(await ana.export()))
        assert (shown.getpixel((4, 0)), shown.getpixel((3, 0))) == ((255, 0, 0, 255), (0, 0, 0, 0))
        with pytest.raises(BadInput) as refused:
            await ana.add_open_raster(b"no zip")
        assert refused.value.code == "bad_open_raster"
    async with join(str(links.view), name="Cem") as cem:
        with pytest.raises(NotAllowed):
            await cem.add_open_raster(b"no zip")


async def test_c1_what_the_command_line_exports_it_imports(server: LiveServer, tmp_path: Path) -> None:
    links = await server.new_canvas(64, 48)
    picture, layers, whole = (tmp_path / name for name in ("a.png", "a.ora", "a.nanobana"))
    await anyio.Path(picture).write_bytes(png(64, 48, colour=(9, 8, 7, 255)))
    assert await files.bring(picture, str(links.edit)) == []
    for file in (layers, whole):
        await files.take(str(links.owner), file)
        owner = (await files.bring(file, server.origin))[0].split()[1]
        await files.take(owner, tmp_path / "b.png")
        shown = Image.open(io.BytesIO(await anyio.Path(tmp_path / "b.png").read_bytes()))
        assert (shown.size, shown.getpixel((63, 47))) == ((64, 48), (9, 8, 7, 255))
    with pytest.raises(BadInput, match="must end with"):
        await files.bring(tmp_path / "a.psd", server.origin)
    with pytest.raises(BadInput, match="name the server"):
        await files.bring(whole, str(links.edit))


async def test_c1_a_box_of_the_picture_is_exported_by_itself(server: LiveServer, canvas: Links) -> None:
    async with join(str(canvas.edit), name="Ana") as ana:
        await ana.add_image(jpeg(512, 512))
        whole = Image.open(io.BytesIO(await ana.export()))
        part = Image.open(io.BytesIO(await ana.export(Box(200, 240, 300, 600))))
        assert part.tobytes() == whole.crop((200, 240, 300, 512)).tobytes()
        with pytest.raises(BadInput) as refused:
            await ana.export(Box(600, 0, 700, 50))
        assert refused.value.code == "outside"
    async with caller(server, canvas.view) as http:
        assert (await http.get("/export.png?box=1,2,x")).json()["code"] == "bad_query"


async def test_the_sample_picture_is_a_small_jpeg(server: LiveServer) -> None:
    async with server.http() as http:
        answer = await http.get("/api/sample")
    assert answer.headers["content-type"] == "image/jpeg"
    assert len(answer.content) <= 200_000
    assert Image.open(io.BytesIO(answer.content)).format == "JPEG"


async def test_c3_pixels_wider_than_an_op_may_be_are_painted_by_the_sdk_and_undone_as_one(server: LiveServer) -> None:
    links = await server.new_canvas(4400, 64)
    async with join(str(links.edit), name="Ana") as ana:
        layer = await ana.add_layer("ink")
        start = ana.replica.position.seq
        await ana.paint(layer, -20, 10, np.full((20, 4300, 4), 255, np.uint8))
        assert ana.replica.position.seq == start + 3
        assert len(ana.replica.tiles) == 17
        await ana.undo()
        assert ana.replica.tiles == {}
        await ana.redo()
        assert (await ana.pixels(layer, Box(2040, 10, 2060, 30))).min() == 255
