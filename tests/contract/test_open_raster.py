"""OpenRaster files, read back with zipfile, ElementTree and Pillow alone (C1)."""

import io
import zipfile
from xml.etree import ElementTree as ET

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image, ImageChops

from nanobana.protocol.errors import BadInput
from nanobana.protocol.geometry import Box
from nanobana.protocol.messages import LayerAdd, LayerGroup, LayerSet
from nanobana_server.store import Store, ops
from nanobana_server.store.ops.export import visible_pixels
from support.strokes import BLUE, RED, Easel


async def written(store: Store, canvas: str) -> zipfile.ZipFile:
    out = io.BytesIO()
    await ops.write_open_raster(store, canvas, out)
    return zipfile.ZipFile(out)


async def painted(easel: Easel) -> None:
    """A base of one colour, a screened layer over it, and one in a group of half the opacity; one hidden on top."""
    await easel.paint("ana", Box(0, 0, 1024, 768), (90, 160, 70, 255))
    for name, box in (("ink", Box(300, 100, 700, 500)), ("wash", Box(500, 300, 900, 700)), ("note", Box(0, 0, 9, 9))):
        await ops.layer_op(easel.store, easel.id, "ana", LayerAdd(op=easel.op(), layer=name, name=name.title()))
        await easel.paint("ana", box, RED if name == "ink" else BLUE, layer=name)
    for message in (
        LayerSet(op=easel.op(), layer="ink", blend="screen"),
        LayerGroup(op=easel.op(), layer="g", name="Glass", members=["wash"]),
        LayerSet(op=easel.op(), layer="g", opacity=0.5, blend="multiply"),
        LayerSet(op=easel.op(), layer="note", visible=False),
    ):
        await ops.layer_op(easel.store, easel.id, "ana", message)


async def test_c1_an_open_raster_file_says_its_kind_first_and_its_stack_in_order(store: Store, easel: Easel) -> None:
    await painted(easel)
    file = await written(store, easel.id)
    first = file.infolist()[0]
    assert (first.filename, first.compress_type, file.read(first)) == ("mimetype", 0, b"image/openraster")
    image = ET.fromstring(file.read("stack.xml"))
    assert (image.get("w"), image.get("h")) == ("1024", "768")
    rows = [(row.tag, row.get("name"), row.get("composite-op"), row.get("opacity")) for row in image.iter()][2:]
    assert rows == [
        ("layer", "Note", "svg:src-over", "1"),
        ("stack", "Glass", "svg:multiply", "0.5"),
        ("layer", "Wash", "svg:src-over", "1"),
        ("layer", "Ink", "svg:screen", "1"),
        ("layer", "Base", "svg:src-over", "1"),
    ]
    assert [row.get("visibility") for row in image.iter("layer")] == ["hidden", "visible", "visible", "visible"]
    assert max(Image.open(file.open("Thumbnails/thumbnail.png")).size) == 256


async def test_c1_the_layers_of_an_open_raster_file_make_the_picture_of_the_canvas(store: Store, easel: Easel) -> None:
    await painted(easel)
    file = await written(store, easel.id)
    wanted = await visible_pixels(store, easel.id)
    assert np.array_equal(_array(Image.open(file.open("mergedimage.png"))), wanted)
    image = ET.fromstring(file.read("stack.xml"))
    sheets = {row.get("name"): _sheet(file, row) for row in image.iter("layer")}
    base, ink, wash = sheets["Base"], sheets["Ink"], sheets["Wash"]
    base.paste(ImageChops.screen(base, ink), mask=ink.getchannel("A"))
    half = wash.getchannel("A").point(lambda alpha: round(alpha * 0.5))
    base.paste(ImageChops.multiply(base, wash), mask=half)
    assert np.abs(_array(base).astype(np.int16) - wanted).max() <= 1


async def test_c1_a_canvas_without_a_size_has_no_layers_to_export(store: Store, easel: Easel) -> None:
    empty = await Easel.new(store, width=0, height=0)
    with pytest.raises(BadInput) as refused:
        await ops.write_open_raster(store, empty.id, io.BytesIO())
    assert refused.value.code == "no_size"


def _sheet(file: zipfile.ZipFile, row: ET.Element) -> Image.Image:
    """A layer at its place on a sheet of the canvas's size."""
    sheet = Image.new("RGBA", (1024, 768))
    sheet.paste(Image.open(file.open(row.attrib["src"])), (int(row.attrib["x"]), int(row.attrib["y"])))
    return sheet


def _array(image: Image.Image) -> npt.NDArray[np.uint8]:
    return np.asarray(image.convert("RGBA"))
