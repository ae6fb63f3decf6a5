"""stack.xml of OpenRaster files: written from a list of layers, and read, from anybody, into one (C1, R10)."""

import math
from collections.abc import Mapping, Sequence
from xml.etree import ElementTree as ET
from xml.parsers import expat

import msgspec

from nanobana.protocol.canvas import Blend, CanvasInfo, Layer
from nanobana.protocol.errors import BadInput
from nanobana.protocol.geometry import MAX_SIDE, Box
from nanobana.protocol.stack import MAX_DEPTH, MAX_LAYERS, Node, tree
from nanobana.raster.codec import blob_name

MIMETYPE, STACK = "image/openraster", "stack.xml"

OPERATIONS: Mapping[Blend, str] = {
    "normal": "svg:src-over",
    "multiply": "svg:multiply",
    "screen": "svg:screen",
    "overlay": "svg:overlay",
}
_BLENDS = {operation: blend for blend, operation in OPERATIONS.items()}

MAX_ELEMENTS = 10_000
"""In one stack.xml; a program writes one or two for each layer."""

NAME = 120
"""Characters of a layer's name that are kept."""


class Sheet(msgspec.Struct, frozen=True):
    """Where a layer's picture is in the file, and its top left corner in the file's pixels."""

    source: str
    x: int
    y: int


class Stack(msgspec.Struct, frozen=True):
    """What a stack.xml says, in terms of ours."""

    width: int
    height: int
    layers: list[Layer]
    """Bottom to top, each group right above what is in it."""
    sheets: dict[str, Sheet]
    """By layer; groups have none."""
    notes: list[str]
    """What is not here as it is there, a sentence each."""


def source_of(layer: str) -> str:
    """The name of a layer's picture in a file that we write."""
    return f"data/{layer}.png"


def write_stack(info: CanvasInfo, layers: Sequence[Layer], boxes: Mapping[str, Box]) -> bytes:
    """The stack.xml of a canvas whose layers' pictures lie in `boxes`."""
    image = ET.Element("image", version="0.0.5", w=str(info.width), h=str(info.height))
    _fill(ET.SubElement(image, "stack"), tree(layers), boxes)
    return bytes(ET.tostring(image, encoding="UTF-8", xml_declaration=True))


def _fill(stack: ET.Element, nodes: Sequence[Node], boxes: Mapping[str, Box]) -> None:
    """What is in a stack, top first as the format wants it."""
    for node in reversed(nodes):
        layer = node.layer
        facts = {
            "name": _printable(layer.name),  # XML has no control characters
            "opacity": repr(layer.opacity),
            "visibility": "visible" if layer.visible else "hidden",
            "composite-op": OPERATIONS[layer.blend],
        }
        if layer.locked:
            facts["edit-locked"] = "true"
        if layer.group:
            _fill(ET.SubElement(stack, "stack", {**facts, "isolation": "isolate"}), node.inside, boxes)
        else:
            at = boxes[layer.id]
            facts |= {"src": source_of(layer.id), "x": str(at.x0), "y": str(at.y0)}
            ET.SubElement(stack, "layer", facts)


def read_stack(data: bytes, name: str) -> Stack:
    """Read a stack.xml that anybody may have written.

    Args:
        name: the layers' IDs are made from it, so that the same file read again gives the same ones.

    Raises:
        BadInput: ``bad_open_raster``, ``too_many_layers``, ``too_deep``.
    """
    image = _parsed(data)
    root = image.find("stack")
    if image.tag != "image" or root is None:
        raise bad("its stack.xml holds no image")
    reading = _Reading(name)
    reading.stack(root, "", 0, 0)
    width, height = _whole(image, "w"), _whole(image, "h")
    if not (1 <= width <= MAX_SIDE and 1 <= height <= MAX_SIDE):
        raise bad(f"it is {width} x {height} pixels large")
    return Stack(width, height, reading.layers, reading.sheets, reading.notes)


def bad(why: str) -> BadInput:
    return BadInput(f"This OpenRaster file cannot be opened: {why}.", code="bad_open_raster")


class _Reading:
    """The layers found so far."""

    def __init__(self, name: str) -> None:
        self.layers: list[Layer] = []
        self.sheets: dict[str, Sheet] = {}
        self.notes: list[str] = []
        self._name = name
        self._count = 0

    def stack(self, stack: ET.Element, parent: str, x: int, y: int) -> None:
        """All that is in a stack, which stands at (x, y), from the bottom."""
        for element in reversed(stack):
            at = (x + _whole(element, "x"), y + _whole(element, "y"))
            if element.tag == "layer":
                self._layer(element, parent, *at)
            elif element.tag != "stack":
                self.notes.append(f"“{_printable(element.tag)[:NAME]}” elements are not known here: left out.")
            elif _passes_through(element):
                self.notes.append(f"“{_name_of(element)}” lets its layers meet what is beneath it: ungrouped.")
                self.stack(element, parent, *at)
            else:
                group = self._new(element, parent, is_group=True)
                self.stack(element, group.id, *at)
                self._add(group)

    def _layer(self, element: ET.Element, parent: str, x: int, y: int) -> None:
        source = element.get("src", "")
        if not source.lower().endswith(".png"):
            self.notes.append(f"“{_name_of(element)}” is no picture of pixels: left out.")
            return
        layer = self._new(element, parent, is_group=False)
        self._add(layer)
        self.sheets[layer.id] = Sheet(source, x, y)

    def _new(self, element: ET.Element, parent: str, *, is_group: bool) -> Layer:
        self._count += 1
        operation = element.get("composite-op", "svg:src-over")
        blend = _BLENDS.get(operation)
        if blend is None:
            text = f"“{_name_of(element)}” is laid down by {_printable(operation)[:NAME]}, which is not known here"
            self.notes.append(f"{text}: normal instead.")
        return Layer(
            id=blob_name(f"{self._name}/{self._count}".encode()),
            name=_name_of(element),
            visible=element.get("visibility") != "hidden",
            opacity=min(1.0, max(0.0, _number(element, "opacity", 1.0))),
            blend=blend or "normal",
            locked=element.get("edit-locked") == "true",
            group=is_group,
            parent=parent,
        )

    def _add(self, layer: Layer) -> None:
        if len(self.layers) >= MAX_LAYERS:
            raise BadInput(f"A canvas has at most {MAX_LAYERS} layers, this file has more.", code="too_many_layers")
        self.layers.append(layer)


def _passes_through(stack: ET.Element) -> bool:
    """Whether what is in it meets what is beneath it, and that shows: our groups are isolated.

    By the format a stack is isolated if it says so, or if it has an opacity or a mode of its own.
    """
    return not _is_isolated(stack) and any(
        element.get("composite-op", "svg:src-over") != "svg:src-over" or _meets(element) for element in stack
    )


def _meets(element: ET.Element) -> bool:
    return element.tag == "stack" and _passes_through(element)


def _is_isolated(stack: ET.Element) -> bool:
    return (
        stack.get("isolation") == "isolate"
        or stack.get("visibility") == "hidden"
        or _number(stack, "opacity", 1.0) < 1.0
        or stack.get("composite-op", "svg:src-over") != "svg:src-over"
    )


def _parsed(data: bytes) -> ET.Element:
    """The document; entities cannot be declared in it, and it is neither deep nor endless."""
    builder = ET.TreeBuilder()
    parser = expat.ParserCreate()
    open_now = elements = 0

    def start(tag: str, attributes: dict[str, str]) -> None:
        nonlocal open_now, elements
        open_now += 1
        elements += 1
        if open_now > MAX_DEPTH + 3:  # image, stack and a layer
            raise BadInput(f"Groups are nested at most {MAX_DEPTH} deep.", code="too_deep")
        if elements > MAX_ELEMENTS:
            raise bad(f"its stack.xml has more than {MAX_ELEMENTS} elements")
        builder.start(tag, attributes)

    def end(tag: str) -> None:
        nonlocal open_now
        open_now -= 1
        builder.end(tag)

    def declared(*_: object) -> None:
        raise bad("its stack.xml declares a document type")

    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.StartDoctypeDeclHandler = declared
    try:
        parser.Parse(data, True)
    except expat.ExpatError as error:
        raise bad(f"its stack.xml is damaged ({error})") from error
    return builder.close()


def _number(element: ET.Element, name: str, default: float = 0.0) -> float:
    text = element.get(name, "")
    try:
        found = float(text) if text else default
    except ValueError:
        found = math.nan
    if not math.isfinite(found):
        raise bad(f"the {name} of “{_name_of(element)}” is no number")
    return found


def _whole(element: ET.Element, name: str) -> int:
    return round(_number(element, name))


def _name_of(element: ET.Element) -> str:
    return _printable(element.get("name", ""))[:NAME] or "Layer"


def _printable(text: str) -> str:
    return "".join(filter(str.isprintable, text))
