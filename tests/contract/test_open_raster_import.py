"""OpenRaster files come in: as they went out, as others write them, and not at all where they are bad (C1, R10)."""

import io
import zipfile
from collections.abc import Callable

import numpy as np
import pytest

from nanobana.protocol.canvas import Layer
from nanobana.protocol.errors import BadInput, Conflict
from nanobana.protocol.geometry import Box
from nanobana.protocol.messages import LayerAdd, LayerGroup, LayerSet
from nanobana_server.store import Store, ops
from nanobana_server.store.ops.export import visible_pixels
from nanobana_server.store.ops.zips import DIRECTORY_BYTES
from support.bombs import png_bomb
from support.ora import ora, sheet, zipped
from support.strokes import GREEN, RED, Easel
from support.truth import check_blobs

RED_SHEET = sheet(20, 10, (255, 0, 0, 255))
LAYER = '<layer src="a.png" name="A"/>'


async def exported(store: Store, canvas: str) -> bytes:
    out = io.BytesIO()
    await ops.write_open_raster(store, canvas, out)
    return out.getvalue()


async def brought(easel: Easel, data: bytes, layer: str = "file", *, x: int = 0, y: int = 0) -> ops.Imported:
    return await ops.import_open_raster(
        easel.store, easel.id, "ana", easel.op(), io.BytesIO(data), layer=layer, name="File", x=x, y=y
    )


async def emptied(store: Store) -> Easel:
    """A canvas as one begins: no size, no layers."""
    easel = await Easel.new(store, width=0, height=0)
    await store.create_canvas(f"{easel.id}x", width=0, height=0, budget_bytes=1 << 30, layers=[])
    return Easel(store, f"{easel.id}x")


async def drawn(store: Store) -> Easel:
    """Four layers in two groups, one in the other, with all that a layer has."""
    easel = await Easel.new(store, width=600, height=400)
    await easel.paint("ana", Box(0, 0, 600, 400), (90, 160, 70, 255))
    for name, colour in (("ink", RED), ("wash", (0, 0, 255, 90)), ("note", GREEN)):
        await ops.layer_op(store, easel.id, "ana", LayerAdd(op=easel.op(), layer=name, name=name.title()))
        await easel.paint("ana", Box(40, 30, 500, 290), colour, layer=name)
    for message in (
        LayerSet(op=easel.op(), layer="ink", blend="overlay", opacity=0.35),
        LayerGroup(op=easel.op(), layer="inner", name="Inner", members=["ink", "wash"]),
        LayerSet(op=easel.op(), layer="inner", blend="multiply", opacity=1 / 3),
        LayerGroup(op=easel.op(), layer="outer", name="Outer", members=["inner", "note"]),
        LayerSet(op=easel.op(), layer="note", visible=False),
        LayerSet(op=easel.op(), layer="wash", locked=True),
    ):
        await ops.layer_op(store, easel.id, "ana", message)
    return easel


def facts(layer: Layer, names: dict[str, str]) -> tuple[object, ...]:
    """A layer without its ID."""
    parent = names.get(layer.parent, "")
    return layer.name, layer.visible, layer.opacity, layer.blend, layer.locked, layer.group, parent


def described(layers: list[Layer]) -> list[tuple[object, ...]]:
    names = {layer.id: layer.name for layer in layers}
    return [facts(layer, names) for layer in layers]


async def test_c1_an_export_that_is_opened_is_the_same_canvas(store: Store) -> None:
    easel, copy = await drawn(store), await emptied(store)
    told: list[tuple[int, int]] = []

    async def progress(done: int, of: int) -> None:
        told.append((done, of))

    file = io.BytesIO(await exported(store, easel.id))
    made = await ops.import_open_raster(store, copy.id, "ana", copy.op(), file, layer="file", progress=progress)
    layers = (await copy.manifest()).layers
    assert described(layers) == described((await easel.manifest()).layers)
    assert (made.layer, made.notes) == (layers[-1].id, [])
    assert np.array_equal(await visible_pixels(store, copy.id), await visible_pixels(store, easel.id))
    assert sorted((await copy.names()).values()) == sorted((await easel.names()).values()), "the very same tiles"
    assert (told == sorted(told), told[-1]) == (True, (400, 400))
    await check_blobs(store, copy.id, await copy.manifest())


async def test_c1_inside_a_canvas_the_layers_come_in_one_group_and_go_with_one_undo(store: Store) -> None:
    easel = await drawn(store)
    before, picture = await easel.look(), await visible_pixels(store, easel.id)
    made = await brought(easel, await exported(store, easel.id))
    layers = (await easel.manifest()).layers
    group = next(layer for layer in layers if layer.id == "file")
    assert (made.layer, group.name, group.group, len(layers)) == ("file", "File", True, 13)
    assert [layer.name for layer in layers if layer.parent == "file"] == ["Base", "Outer"]
    assert made.box == Box(0, 0, 600, 400)
    assert np.array_equal(await visible_pixels(store, easel.id), picture), "the copy covers what it is a copy of"
    after = await easel.look()
    await easel.undo()
    assert await easel.look() == before
    await easel.redo()
    assert await easel.look() == after


async def test_c6_a_file_that_is_sent_twice_comes_in_once(store: Store) -> None:
    for easel in (await Easel.new(store), await emptied(store)):
        op = easel.op()
        made = [
            await ops.import_open_raster(
                store, easel.id, "ana", op, io.BytesIO(ora(LAYER, a=RED_SHEET)), layer="file", name="File"
            )
            for _ in range(2)
        ]
        assert made[0] == made[1]
        assert len(await easel.log()) == 1
    with pytest.raises(Conflict) as refused:
        await brought(easel, ora(LAYER, a=RED_SHEET))
    assert refused.value.code == "layer_exists"


async def test_c1_layers_lie_where_the_file_has_them_and_where_it_is_put(store: Store) -> None:
    easel = await Easel.new(store, width=200, height=100)
    nested = '<stack x="5" name="S"><layer src="a.png" x="3" y="-4" name="A" opacity="0.5"/></stack>'
    made = await brought(easel, ora(nested, a=RED_SHEET), x=100, y=50)
    assert made.box == Box(108, 46, 128, 56)
    assert await easel.pixel(108, 46) == (255, 0, 0, 128)
    assert await easel.pixel(107, 46) == (0, 0, 0, 0)


async def test_c1_what_has_no_counterpart_here_is_told(store: Store) -> None:
    easel = await emptied(store)
    stack = (
        '<layer src="a.png" name="Glow" composite-op="svg:color-dodge"/><text name="T"/>'
        '<layer src="a.svg" name="Drawing"/><stack name="Empty"/>'
    )
    made = await brought(easel, ora(stack, a=RED_SHEET))
    assert [(layer.name, layer.blend) for layer in (await easel.manifest()).layers] == [
        ("Empty", "normal"), ("Glow", "normal"),
    ]  # fmt: skip
    assert [note.split(":")[0] for note in made.notes] == [
        "“Drawing” is no picture of pixels",
        "“text” elements are not known here",
        "“Glow” is laid down by svg",
    ]


@pytest.mark.parametrize(
    ("attributes", "is_kept"),
    [('isolation="isolate"', True), ('opacity="0.5"', True), ('composite-op="svg:screen"', True), ("", False)],
)
async def test_c1_a_group_that_lets_its_layers_meet_what_is_beneath_comes_as_they_are(
    store: Store, attributes: str, is_kept: bool
) -> None:
    easel = await emptied(store)
    stack = (
        f'<stack name="G" {attributes}><layer src="a.png" name="A" composite-op="svg:multiply"/></stack>'
        '<layer src="b.png" name="B"/>'
    )
    await brought(easel, ora(stack, a=RED_SHEET, b=sheet(64, 48, (0, 200, 100, 255))))
    names = [layer.name for layer in (await easel.manifest()).layers]
    assert names == (["B", "A", "G"] if is_kept else ["B", "A"])
    if not is_kept:
        assert await easel.pixel(5, 5) == (0, 0, 0, 255), "red times green"


def entity_bomb() -> bytes:
    entities = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 10))
    return ora(LAYER, head=f'<!DOCTYPE image [<!ENTITY e0 "boom">{entities}]>', a=RED_SHEET)


def outside_entity() -> bytes:
    head = '<!DOCTYPE image [<!ENTITY passwd SYSTEM "file:///etc/passwd">]>'
    return ora('<layer src="a.png" name="&passwd;"/>', head=head, a=RED_SHEET)


def zip_bomb() -> bytes:
    return zipped({"stack.xml": bytes(300 << 20)})


def layer_bomb() -> bytes:
    """A thousand pixels for every byte, twenty-five times over."""
    return ora("".join(f'<layer src="a.png" name="{n}"/>' for n in range(25)), a=png_bomb(7000))


def endless_directory() -> bytes:
    """A file that says of itself that it lists more parts than anybody has."""
    data = bytearray(ora(LAYER, a=RED_SHEET))
    data[-10:-6] = (DIRECTORY_BYTES + 1).to_bytes(4, "little")
    return bytes(data)


def damaged() -> bytes:
    """One byte of the picture's data is another."""
    data = bytearray(
        zipped(
            {"stack.xml": f'<image w="9" h="9"><stack>{LAYER}</stack></image>', "a.png": RED_SHEET},
            compression=zipfile.ZIP_STORED,
        )
    )
    data[data.index(b"IDAT") + 8] ^= 255
    return bytes(data)


@pytest.mark.parametrize(
    ("make", "code", "word"),
    [
        (lambda: b"no zip at all", "bad_open_raster", "unpacked"),
        (lambda: zipped({"mimetype": "image/openraster"}), "bad_open_raster", "stack.xml is missing"),
        (lambda: ora(LAYER), "bad_open_raster", "a.png is missing"),
        (lambda: ora("<layer", a=RED_SHEET), "bad_open_raster", "damaged"),
        (lambda: zipped({"stack.xml": "<svg/>"}), "bad_open_raster", "no image"),
        (lambda: ora(LAYER, size=(0, 9), a=RED_SHEET), "bad_open_raster", "0 x 9"),
        (lambda: ora('<layer src="a.png" x="nan"/>', a=RED_SHEET), "bad_open_raster", "x of"),
        (lambda: ora('<layer src="a.png" x="9e99"/>', a=RED_SHEET), "outside", "outside"),
        (lambda: ora(LAYER, a=b"GIF89a" + bytes(100)), "image_format", "PNG"),
        (lambda: ora(LAYER, a=RED_SHEET[:60]), "bad_image", "damaged"),
        (lambda: ora(LAYER, a=png_bomb()), "image_too_big", "pixels"),
        (lambda: ora(LAYER * 201, a=RED_SHEET), "too_many_layers", "200"),
        (lambda: ora("<stack>" * 9 + LAYER + "</stack>" * 9, a=RED_SHEET), "too_deep", "8 deep"),
        (lambda: ora("<text/>" * 10_001), "bad_open_raster", "elements"),
        (damaged, "bad_open_raster", "unpacked"),
        (entity_bomb, "bad_open_raster", "document type"),
        (outside_entity, "bad_open_raster", "document type"),
        (zip_bomb, "bad_open_raster", "300 MiB"),
        (layer_bomb, "bad_open_raster", "megapixels"),
        (endless_directory, "bad_open_raster", "too many parts"),
    ],
    ids=[
        "no zip", "no stack.xml", "no picture", "broken XML", "other XML", "no size", "no number", "far away", "GIF",
        "cut picture", "image bomb", "201 layers", "9 groups", "elements", "damaged", "entity bomb", "outside entity",
        "zip bomb", "layer bomb", "directory",
    ],
)  # fmt: skip
async def test_r10_a_file_that_must_not_be_taken_is_refused_with_a_reason_and_leaves_nothing(
    store: Store, make: Callable[[], bytes], code: str, word: str
) -> None:
    easel = await Easel.new(store)
    with pytest.raises(BadInput) as refused:
        await brought(easel, make())
    assert refused.value.code == code
    assert word in str(refused.value)
    assert (await easel.log(), len((await easel.manifest()).layers)) == ([], 1)


async def test_r10_a_file_that_leaves_no_room_for_its_group_is_refused(store: Store) -> None:
    easel = await Easel.new(store)
    deep = ora('<stack isolation="isolate">' * 8 + LAYER + "</stack>" * 8, a=RED_SHEET)
    with pytest.raises(BadInput) as refused:
        await brought(easel, deep)
    assert refused.value.code == "too_deep"
    opened = await emptied(store)
    await brought(opened, deep)
    assert len((await opened.manifest()).layers) == 9
    assert await opened.pixel(1, 1) == RED
