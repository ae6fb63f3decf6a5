"""The checksum of a canvas: the same on both sides of the wire, another for another canvas (R9)."""

from nanobana.protocol.canvas import Layer
from nanobana.protocol.checksum import canvas_sum

LAYERS = [
    Layer(id="base", name="Base"),
    Layer(id="sky", name="Sky", visible=False, locked=True, blend="multiply", parent="outside"),
]
TILES = [("sky", -1, 10, "b" * 32), ("base", 0, 0, "a" * 32), ("base", 2, 0, "")]


def test_r9_the_sum_is_the_one_that_the_page_computes() -> None:
    assert canvas_sum(LAYERS, TILES) == 1636239691  # stands in client/web/tests/document.test.ts too


def test_r9_the_order_of_tiles_does_not_matter_and_everything_else_does() -> None:
    whole = canvas_sum(LAYERS, TILES)
    assert canvas_sum(LAYERS, TILES[::-1]) == whole
    assert canvas_sum(LAYERS[::-1], TILES) != whole
    assert canvas_sum(LAYERS[:1], TILES) != whole
    assert canvas_sum(LAYERS, TILES[1:]) != whole
    assert canvas_sum(LAYERS, [("sky", -1, 11, "b" * 32), *TILES[1:]]) != whole
