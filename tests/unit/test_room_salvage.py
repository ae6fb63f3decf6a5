"""Whatever a client sends is either understood, answered, or refused as a whole (R10)."""

import contextlib

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nanobana.protocol import codec
from nanobana.protocol import messages as m
from nanobana.protocol.canvas import OpId
from nanobana.protocol.errors import BadInput
from nanobana_server.room.salvage import MAX_REFUSED, read

PING = msgspec.msgpack.encode(m.Ping(n=1))

junk = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats()
    | st.text(max_size=8)
    | st.binary(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=12,
)
tags = st.sampled_from([kind.__struct_config__.tag for kind in m.ClientMessage.__args__])
nearly = st.fixed_dictionaries(
    {"t": tags}, optional={"op": junk, "layer": junk, "box": junk, "png": junk, "points": junk, "x": junk, "edit": junk}
)


@given(st.binary(max_size=200))
def test_r10_any_bytes_are_a_frame_or_a_refusal(data: bytes) -> None:
    with contextlib.suppress(BadInput):
        assert isinstance(read(data), list)


@given(st.lists(junk | nearly, max_size=MAX_REFUSED))
def test_r10_every_message_of_a_frame_is_understood_or_answered(messages: list[object]) -> None:
    found = read(msgspec.msgpack.encode(messages))
    assert len(found) == len(messages)


def test_r10_good_messages_beside_a_bad_one_keep_their_order() -> None:
    bad = msgspec.msgpack.encode({"t": "undo", "op": ["tab", 5], "extra": {}})
    worse = msgspec.msgpack.encode({"t": "undo", "op": ["tab", 0]})
    found = read(codec.join([PING, bad, worse, PING]))
    assert [type(one) for one in found] == [m.Ping, m.Undo, m.Problem, m.Ping]


def test_r10_a_bad_op_is_answered_by_its_id() -> None:
    (found,) = read(codec.join([msgspec.msgpack.encode({"t": "paint", "op": ["tab", 3]})]))
    assert isinstance(found, m.Reject) and (found.op, found.code) == (OpId("tab", 3), "bad_message")


def test_r10_a_frame_with_hardly_anything_good_in_it_is_refused_as_a_whole() -> None:
    with pytest.raises(BadInput):
        read(codec.join([b"\xc0"] * (MAX_REFUSED + 1)))


@pytest.mark.parametrize(
    ("field", "value", "code", "said"),
    [
        ("prompt", "x" * 100_000, "prompt_too_long", "2000 characters"),
        ("negative", "x" * 2001, "prompt_too_long", "2000 characters"),
        ("guidance", float("nan"), "bad_guidance", "from 0 to 30"),
        ("guidance", float("inf"), "bad_guidance", "from 0 to 30"),
        ("guidance", -0.1, "bad_guidance", "from 0 to 30"),
        ("guidance", "much", "bad_guidance", "from 0 to 30"),
        ("steps", 0, "bad_steps", "from 1 to 100"),
        ("steps", 101, "bad_steps", "from 1 to 100"),
        ("steps", 7.5, "bad_steps", "whole number"),
        ("strength", float("nan"), "bad_strength", "from 0.05 to 1"),
        ("seed", -1, "bad_seed", "whole number"),
        ("style", "", "unknown_style", "64 characters"),
        ("loras", [{"name": "toy", "weight": float("nan")}], "bad_loras", "from -2 to 2"),
        ("loras", [{"name": "toy"}] * 5, "bad_loras", "up to four"),
        ("quality", "great", "bad_quality", "draft"),
        ("variations", 4, "bad_variations", "three"),
    ],
)
def test_r10_each_parameter_that_cannot_be_has_its_own_answer(field: str, value: object, code: str, said: str) -> None:
    edit = {"box": [0, 0, 8, 8], "mask_blob": "0" * 32, field: value}
    answer = read(msgspec.msgpack.encode([{"t": "edit", "op": ["tab", 5], "edit": edit}]))[0]
    assert isinstance(answer, m.Reject)
    assert (answer.op, answer.code) == (OpId("tab", 5), code)
    assert said in answer.message
