"""Layer ops and how they are taken back while others go on (C1, C9)."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nanobana.protocol.canvas import CanvasInfo, Layer, OpId
from nanobana.protocol.errors import BadInput, Conflict
from nanobana.protocol.messages import (
    LayerAdd,
    LayerDelete,
    LayerDuplicate,
    LayerGroup,
    LayerMerge,
    LayerMove,
    LayerOp,
    LayerSet,
    LayerUngroup,
)
from nanobana.protocol.stack import ordered
from nanobana_server.store.ops.relayer import canvas_after, turn
from nanobana_server.store.ops.restack import changed
from nanobana_server.store.types import LayerGone, LayerLocked, LayersUndo, job_client

OP = OpId("tab", 1)
LAYERS = [Layer(id=name, name=name.upper()) for name in "abc"]


def ids(layers: list[Layer]) -> str:
    return "".join(layer.id for layer in layers)


def test_c1_layers_run_from_bottom_to_top() -> None:
    assert ids(changed(LAYERS, LayerAdd(op=OP, layer="x", name=""))[0]) == "abcx"
    assert ids(changed(LAYERS, LayerAdd(op=OP, layer="x", name="", above="a"))[0]) == "axbc"
    assert ids(changed(LAYERS, LayerMove(op=OP, layer="c", index=0))[0]) == "cab"
    assert ids(changed(LAYERS, LayerMove(op=OP, layer="a", index=99))[0]) == "bca"
    assert ids(changed(LAYERS, LayerDelete(op=OP, layer="b"))[0]) == "ac"
    assert changed(LAYERS, LayerSet(op=OP, layer="b", visible=False))[0][1].visible is False


def test_layer_ops_that_cannot_be_are_refused() -> None:
    with pytest.raises(Conflict):
        changed(LAYERS, LayerAdd(op=OP, layer="a", name=""))
    with pytest.raises(LayerGone):
        changed(LAYERS, LayerSet(op=OP, layer="z", name="Z"))
    many = [Layer(id=f"l{n}", name="") for n in range(200)]
    with pytest.raises(BadInput):
        changed(many, LayerAdd(op=OP, layer="one-more", name=""))


NAMES = st.sampled_from("abcxyz")
op_on_layers = st.one_of(
    st.builds(
        lambda name, above: LayerAdd(op=OP, layer=name, name=name, above=above),
        st.sampled_from("xyz"),
        st.sampled_from("abc"),
    ),
    st.builds(
        lambda name, index, parent: LayerMove(op=OP, layer=name, index=index, parent=parent),
        NAMES,
        st.integers(0, 4),
        st.sampled_from([None, "", *"xyz"]),
    ),
    st.builds(lambda name: LayerDelete(op=OP, layer=name), NAMES),
    st.builds(lambda name: LayerUngroup(op=OP, layer=name), NAMES),
    st.builds(
        lambda name, members: LayerGroup(op=OP, layer=name, name=name, members=members),
        st.sampled_from("xyz"),
        st.lists(NAMES, max_size=3),
    ),
    st.builds(lambda name, copy: LayerDuplicate(op=OP, layer=name, copy=copy), NAMES, st.sampled_from("xyz")),
    st.builds(lambda name: LayerMerge(op=OP, layer=name), NAMES),
    st.builds(lambda name, opacity: LayerSet(op=OP, layer=name, opacity=opacity), NAMES, st.floats(0, 1)),
)


@given(messages=st.lists(op_on_layers, max_size=12))
@settings(max_examples=300)
def test_c9_layer_ops_taken_back_and_done_again_lead_to_the_same_list(messages: list[LayerOp]) -> None:
    states, undone = [list(LAYERS)], list[list[LayersUndo]]()
    for message in messages:
        try:
            layers, changes = changed(states[-1], message)
        except (BadInput, Conflict, LayerGone):
            continue
        assert layers == ordered(layers)
        states.append(layers)
        undone.append(changes)
    for before, after, changes in zip(states, states[1:], undone, strict=False):
        back = turn(after, changes, set(), "undo")
        assert back.layers == before
        assert turn(before, back.changes, set(), "redo").layers == after


def test_c1_a_group_takes_its_members_in_where_the_topmost_is() -> None:
    layers, _ = changed(LAYERS, LayerGroup(op=OP, layer="g", name="G", members=["c", "a"]))
    assert ids(layers) == "bacg"
    assert [layer.parent for layer in layers] == ["", "g", "g", ""]
    assert ids(changed(layers, LayerUngroup(op=OP, layer="g"))[0]) == "bac"
    assert ids(changed(layers, LayerDelete(op=OP, layer="g"))[0]) == "b"


def test_c1_a_layer_goes_into_a_group_and_out_again() -> None:
    layers, _ = changed(LAYERS, LayerGroup(op=OP, layer="g", name="G", members=["b"]))
    inside, _ = changed(layers, LayerMove(op=OP, layer="c", index=1, parent="g"))
    assert ids(inside) == "acbg"
    assert ids(changed(inside, LayerMove(op=OP, layer="g", index=0))[0]) == "cbga"
    assert ids(changed(inside, LayerMove(op=OP, layer="c", index=9, parent=""))[0]) == "abgc"


def test_c1_a_group_does_not_go_into_itself_and_nesting_ends_somewhere() -> None:
    layers = list(LAYERS)
    for name in "defghijk":
        layers, _ = changed(layers, LayerGroup(op=OP, layer=name, name="", members=["a"]))
    with pytest.raises(BadInput, match="nested"):
        changed(layers, LayerGroup(op=OP, layer="l", name="", members=["a"]))
    with pytest.raises(BadInput, match="itself"):
        changed(layers, LayerMove(op=OP, layer="d", index=0, parent="e"))
    with pytest.raises(BadInput, match="goes into a group"):
        changed(layers, LayerMove(op=OP, layer="b", index=0, parent="c"))


def test_c1_only_layers_of_one_group_that_show_are_merged() -> None:
    layers, _ = changed(LAYERS, LayerGroup(op=OP, layer="g", name="G", members=["b"]))
    for layer in ("a", "b", "c"):
        with pytest.raises(BadInput) as refused:
            changed(layers, LayerMerge(op=OP, layer=layer))
        assert refused.value.code == "nothing_below"
    assert ids(changed(layers, LayerMerge(op=OP, layer="g"))[0]) == "ac"
    hidden, _ = changed(layers, LayerSet(op=OP, layer="g", visible=False))
    with pytest.raises(BadInput, match="show both"):
        changed(hidden, LayerMerge(op=OP, layer="g"))


def test_c1_a_copy_of_a_group_is_whole_and_has_ids_of_its_own() -> None:
    layers, _ = changed(LAYERS, LayerGroup(op=OP, layer="g", name="G", members=["b", "c"]))
    copied, _ = changed(layers, LayerDuplicate(op=OP, layer="g", copy="h"))
    assert len({layer.id for layer in copied}) == 7
    assert [layer.name for layer in copied] == ["A", "B", "C", "G", "B", "C", "G copy"]
    assert [layer.parent for layer in copied[4:]] == ["h", "h", ""]


def test_c9_a_copy_with_groups_in_it_comes_back_in_its_order() -> None:
    inner, outer = Layer(id="i", name="", group=True, parent="g"), Layer(id="g", name="", group=True)
    layers = [Layer(id="a", name="", parent="g"), Layer(id="b", name="", parent="i"), inner, outer]
    copied, changes = changed(layers, LayerDuplicate(op=OP, layer="g", copy="h"))
    undone, changes = turn(copied, changes, set(), "undo")
    assert undone == layers
    assert turn(undone, changes, set(), "redo").layers == copied


def test_c1_what_is_in_a_locked_group_stays_in_it() -> None:
    layers, _ = changed(LAYERS, LayerGroup(op=OP, layer="g", name="G", members=["b", "c"]))
    layers, _ = changed(layers, LayerSet(op=OP, layer="g", locked=True))
    for message in (
        LayerMove(op=OP, layer="b", index=0, parent=""),
        LayerMove(op=OP, layer="a", index=0, parent="g"),
        LayerAdd(op=OP, layer="x", name="", above="b"),
        LayerDuplicate(op=OP, layer="b", copy="x"),
        LayerUngroup(op=OP, layer="g"),
        LayerMerge(op=OP, layer="c"),
    ):
        with pytest.raises(LayerLocked):
            changed(layers, message)


def test_c9_a_group_that_others_put_a_layer_into_stays() -> None:
    mine = changed(LAYERS, LayerGroup(op=OP, layer="g", name="G", members=["b"]))
    theirs = changed(mine[0], LayerMove(op=OP, layer="c", index=1, parent="g"))[0]
    back, changes = turn(theirs, mine[1], set(), "undo")
    again = turn(back, changes, set(), "redo").layers
    assert {layer.id: layer.parent for layer in back} == {"a": "", "b": "", "c": "g", "g": ""}
    assert {layer.id: layer.parent for layer in again} == {"a": "", "b": "g", "c": "g", "g": ""}


@given(mine=op_on_layers, theirs=st.lists(op_on_layers, max_size=4))
@settings(max_examples=400)
def test_c9_undone_and_done_again_at_once_nothing_of_what_others_made_of_it_changes(
    mine: LayerOp, theirs: list[LayerOp]
) -> None:
    present, undone = list(LAYERS), list[LayersUndo]()
    for message in (mine, *theirs):
        try:
            present, changes = changed(present, message)
        except (BadInput, Conflict, LayerGone):
            continue
        if message is mine:
            undone = changes
    back = turn(present, undone, set(), "undo")
    assert turn(back.layers, back.changes, set(), "redo").layers == present


def test_c9_what_another_changed_since_is_left_as_it_is() -> None:
    mine = changed(LAYERS, LayerSet(op=OP, layer="a", name="Mine", opacity=0.5))
    theirs = changed(mine[0], LayerSet(op=OP, layer="a", name="Theirs"))[0]
    back = turn(theirs, mine[1], set(), "undo").layers[0]
    assert (back.name, back.opacity) == ("Theirs", 1.0)


def test_c9_a_layer_with_somebodys_pixels_stays() -> None:
    added = changed(LAYERS, LayerAdd(op=OP, layer="x", name=""))
    assert ids(turn(added[0], added[1], {"x"}, "undo").layers) == "abcx"
    assert ids(turn(added[0], added[1], set(), "undo").layers) == "abc"


def test_c9_a_canvas_with_layers_does_not_lose_its_size() -> None:
    empty, sized = CanvasInfo(id="c"), CanvasInfo(id="c", width=10, height=20)
    assert canvas_after(sized, sized, empty, has_layers=True) == sized
    assert canvas_after(sized, sized, empty, has_layers=False) == empty


def test_the_servers_own_client_of_a_job_is_a_valid_identifier() -> None:
    assert job_client("tab-1") == "srv-tab-1"
    assert len(job_client("t" * 64 + "-1234567890")) <= 64
