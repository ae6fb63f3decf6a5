"""Layer ops and how they are taken back while others go on (C1, C9)."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nanobana.protocol.canvas import CanvasInfo, Layer, OpId
from nanobana.protocol.errors import BadInput, Conflict
from nanobana.protocol.messages import LayerAdd, LayerDelete, LayerMove, LayerSet
from nanobana_server.store.ops.layers import LayerOp, changed
from nanobana_server.store.ops.relayer import canvas_after, do_again, take_back
from nanobana_server.store.types import LayerGone, LayersUndo, job_client

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


op_on_layers = st.one_of(
    st.builds(
        lambda name, above: LayerAdd(op=OP, layer=name, name=name, above=above),
        st.sampled_from("xyz"),
        st.sampled_from("abc"),
    ),
    st.builds(lambda name, index: LayerMove(op=OP, layer=name, index=index), st.sampled_from("abc"), st.integers(0, 4)),
    st.builds(lambda name: LayerDelete(op=OP, layer=name), st.sampled_from("abc")),
    st.builds(
        lambda name, opacity: LayerSet(op=OP, layer=name, opacity=opacity), st.sampled_from("abc"), st.floats(0, 1)
    ),
)


@given(messages=st.lists(op_on_layers, max_size=6))
@settings(max_examples=100, deadline=None)
def test_c9_layer_ops_taken_back_and_done_again_lead_to_the_same_list(messages: list[LayerOp]) -> None:
    layers, undone = list(LAYERS), list[LayersUndo]()
    for message in messages:
        try:
            layers, change = changed(layers, message)
        except (Conflict, LayerGone):
            continue
        undone.append(change)
    assert take_back(layers, undone, set()) == LAYERS
    assert do_again(LAYERS, undone, set()) == layers


def test_c9_what_another_changed_since_is_left_as_it_is() -> None:
    mine = changed(LAYERS, LayerSet(op=OP, layer="a", name="Mine", opacity=0.5))
    theirs = changed(mine[0], LayerSet(op=OP, layer="a", name="Theirs"))[0]
    back = take_back(theirs, [mine[1]], set())[0]
    assert (back.name, back.opacity) == ("Theirs", 1.0)


def test_c9_a_layer_with_somebodys_pixels_stays() -> None:
    added = changed(LAYERS, LayerAdd(op=OP, layer="x", name=""))
    assert ids(take_back(added[0], [added[1]], {"x"})) == "abcx"
    assert ids(take_back(added[0], [added[1]], set())) == "abc"


def test_c9_a_canvas_with_layers_does_not_lose_its_size() -> None:
    empty, sized = CanvasInfo(id="c"), CanvasInfo(id="c", width=10, height=20)
    assert canvas_after(sized, sized, empty, has_layers=True) == sized
    assert canvas_after(sized, sized, empty, has_layers=False) == empty


def test_the_servers_own_client_of_a_job_is_a_valid_identifier() -> None:
    assert job_client("tab-1") == "srv-tab-1"
    assert len(job_client("t" * 64 + "-1234567890")) <= 64
