"""The list of layers as a tree: groups, what shows, what is locked (C1)."""

from hypothesis import given, settings
from hypothesis import strategies as st

from nanobana.protocol.canvas import Layer
from nanobana.protocol.stack import around, block, is_locked, ordered, seen, tree

HOUSE = [
    Layer(id="floor", name=""),
    Layer(id="bed", name="", parent="room"),
    Layer(id="book", name="", parent="shelf"),
    Layer(id="shelf", name="", group=True, parent="room"),
    Layer(id="room", name="", group=True),
    Layer(id="roof", name="", parent="gone"),
]


def ids(layers: list[Layer]) -> list[str]:
    return [layer.id for layer in layers]


def change(layer: str, **fields: object) -> list[Layer]:
    import msgspec

    return [msgspec.structs.replace(found, **fields) if found.id == layer else found for found in HOUSE]


def test_c1_a_layer_whose_group_is_gone_is_at_the_top_level() -> None:
    assert [node.layer.id for node in tree(HOUSE)] == ["floor", "room", "roof"]


def test_c1_a_group_stands_right_above_all_that_is_in_it() -> None:
    assert ids(ordered(HOUSE)) == ids(HOUSE)
    assert ids(ordered(HOUSE[::-1])) == ["roof", "book", "shelf", "bed", "room", "floor"]


def test_c1_a_block_is_a_group_with_all_that_is_in_it() -> None:
    assert ids(block(HOUSE, "room")) == ["bed", "book", "shelf", "room"]
    assert ids(block(HOUSE, "bed")) == ["bed"]
    assert ids(around(HOUSE, "book")) == ["shelf", "room"]


def test_c1_what_is_in_a_hidden_or_faded_group_does_not_show() -> None:
    assert ids(seen(HOUSE)) == ["floor", "bed", "book", "roof"]
    assert ids(seen(change("room", visible=False))) == ["floor", "roof"]
    assert ids(seen(change("shelf", opacity=0.0))) == ["floor", "bed", "roof"]


def test_c1_what_is_in_a_locked_group_is_locked() -> None:
    house = change("room", locked=True)
    assert [is_locked(house, layer) for layer in house] == [False, True, True, True, True, False]


@given(
    parents=st.lists(st.sampled_from(["", *"abcdef", "gone"]), min_size=6, max_size=6),
    groups=st.sets(st.sampled_from("abcdef")),
)
@settings(max_examples=200)
def test_c1_no_list_loses_a_layer_whatever_undo_has_put_into_what(parents: list[str], groups: set[str]) -> None:
    layers = [
        Layer(id=name, name="", parent=parent, group=name in groups)
        for name, parent in zip("abcdef", parents, strict=True)
    ]
    assert sorted(ids(ordered(layers))) == list("abcdef")
    assert ordered(ordered(layers)) == ordered(layers)
