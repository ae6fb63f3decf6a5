"""OpenRaster files that we write, read back with Pillow alone and by pyora, which shares no code with us (C1)."""

import io
import zipfile
from xml.etree import ElementTree as ET

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image, ImageChops

from nanobana.protocol.canvas import Blend, Layer
from nanobana.protocol.errors import BadInput
from nanobana.protocol.geometry import Box
from nanobana.protocol.messages import LayerAdd, LayerGroup, LayerSet
from nanobana.raster.compose import flatten
from nanobana_server.store import Store, ops
from nanobana_server.store.ops.export import visible_pixels
from support.ora import merged_by_pyora, read_by_pyora
from support.strokes import BLUE, RED, Easel


async def bytes_of(store: Store, canvas: str) -> bytes:
    out = io.BytesIO()
    await ops.write_open_raster(store, canvas, out)
    return out.getvalue()


async def written(store: Store, canvas: str) -> zipfile.ZipFile:
    return zipfile.ZipFile(io.BytesIO(await bytes_of(store, canvas)))


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
        ("layer", "Note", "svg:src-over", "1.0"),
        ("stack", "Glass", "svg:multiply", "0.5"),
        ("layer", "Wash", "svg:src-over", "1.0"),
        ("layer", "Ink", "svg:screen", "1.0"),
        ("layer", "Base", "svg:src-over", "1.0"),
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


async def test_c1_another_library_finds_the_same_layers_and_the_same_pixels(store: Store, easel: Easel) -> None:
    await painted(easel)
    project = read_by_pyora(await bytes_of(store, easel.id))
    found = {layer.name: layer for layer in project.layers_and_groups_ordered}
    assert project.dimensions == (1024, 768)
    assert [found[name].composite_op for name in ("Base", "Ink", "Glass")] == [
        "svg:src-over", "svg:screen", "svg:multiply",
    ]  # fmt: skip
    assert (found["Glass"].opacity, found["Glass"].isolated, found["Note"].visible) == (0.5, True, False)
    names = {layer.name: layer.id for layer in (await easel.manifest()).layers}
    for name in ("Base", "Ink", "Wash", "Note"):
        layer = found[name]
        x, y = layer.offsets
        sheet = np.asarray(layer.get_image_data(raw=True).convert("RGBA"))
        height, width = sheet.shape[:2]
        assert np.array_equal(sheet, await layer_pixels(easel, names[name], Box(x, y, x + width, y + height)))
    wanted = await visible_pixels(store, easel.id)
    assert np.array_equal(np.asarray(project.get_image_data(use_original=True).convert("RGBA")), wanted)


@pytest.mark.parametrize("blend", ["normal", "multiply", "screen", "overlay"])
@pytest.mark.parametrize("is_grouped", [False, True])
async def test_c1_another_library_makes_the_same_picture_of_every_mode_and_of_isolated_groups(
    store: Store, blend: Blend, is_grouped: bool
) -> None:
    easel = await Easel.new(store, width=96, height=64)
    await easel.paint("ana", Box(0, 0, 70, 64), (200, 120, 40, 255))
    await ops.layer_op(store, easel.id, "ana", LayerAdd(op=easel.op(), layer="top", name="Top"))
    await easel.paint("ana", Box(30, 10, 96, 50), (90, 60, 210, 160), layer="top")
    if is_grouped:
        await ops.layer_op(store, easel.id, "ana", LayerGroup(op=easel.op(), layer="g", name="G", members=["top"]))
        await ops.layer_op(store, easel.id, "ana", LayerSet(op=easel.op(), layer="g", opacity=0.6, blend=blend))
    else:
        await ops.layer_op(store, easel.id, "ana", LayerSet(op=easel.op(), layer="top", opacity=0.6, blend=blend))
    merged = merged_by_pyora(read_by_pyora(await bytes_of(store, easel.id)))
    wanted = await visible_pixels(store, easel.id)
    # Both round once per layer laid down, we after float32 and pyora after float64: one level apart at the most.
    shows = wanted[..., 3] > 0
    assert np.array_equal(merged[..., 3] > 0, shows)
    assert np.abs(merged[shows].astype(np.int16) - wanted[shows]).max() <= 1


async def test_c1_a_canvas_without_a_size_has_no_layers_to_export(store: Store, easel: Easel) -> None:
    empty = await Easel.new(store, width=0, height=0)
    with pytest.raises(BadInput) as refused:
        await ops.write_open_raster(store, empty.id, io.BytesIO())
    assert refused.value.code == "no_size"


async def layer_pixels(easel: Easel, layer: str, box: Box) -> npt.NDArray[np.uint8]:
    """What one layer holds in a box."""
    names = {key: name for key, name in (await easel.names()).items() if key[0] == layer}
    found = await easel.store.get_tiles(easel.id, names.values())
    tiles = {key: tile for key, name in names.items() if (tile := found[name]) is not None}
    return flatten([Layer(id=layer, name="")], tiles, box)


def _sheet(file: zipfile.ZipFile, row: ET.Element) -> Image.Image:
    """A layer at its place on a sheet of the canvas's size."""
    sheet = Image.new("RGBA", (1024, 768))
    sheet.paste(Image.open(file.open(row.attrib["src"])), (int(row.attrib["x"]), int(row.attrib["y"])))
    return sheet


def _array(image: Image.Image) -> npt.NDArray[np.uint8]:
    return np.asarray(image.convert("RGBA"))
