"""Frames on the wire: encoded once, decoded with types, refused with a code (R1, R6, R10)."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nanobana.protocol import codec
from nanobana.protocol import messages as m
from nanobana.protocol.canvas import OpId
from nanobana.protocol.errors import BadInput
from nanobana.protocol.geometry import Box, mip_key, tile_box, tiles_of


def test_r1_a_frame_comes_back_as_the_messages_that_went_in() -> None:
    sent = [m.Paint(op=OpId("tab", 1), layer="l", box=Box(0, 0, 2, 2), png=b"png"), m.Ping(n=3)]
    assert codec.read_client(codec.frame(sent)) == sent


@pytest.mark.parametrize("count", [0, 1, 15, 16, 70000])
def test_r6_joining_encoded_messages_gives_the_bytes_of_encoding_them_together(count: int) -> None:
    messages = [m.Ping(n=1)] * count
    assert codec.join([codec.encode(m.Ping(n=1))] * count) == msgspec.msgpack.encode(messages)


def test_r10_an_unknown_field_is_ignored() -> None:
    data = msgspec.msgpack.encode([{"t": "ping", "n": 4, "new": True}])
    assert codec.read_client(data) == [m.Ping(n=4)]


@pytest.mark.parametrize(
    ("data", "named"),
    [
        (b"", "truncated"),
        (b"\xc1", "malformed"),
        (msgspec.msgpack.encode({"t": "ping"}), "array"),
        (msgspec.msgpack.encode([{"t": "no-such"}]), "no-such"),
        (msgspec.msgpack.encode([{"t": "undo", "op": ["tab", 0]}]), "op"),
        (msgspec.msgpack.encode([{"t": "undo", "op": ["t a b", 1]}]), "op"),
        (msgspec.msgpack.encode([{"t": "undo"}]), "op"),
    ],
)
def test_r10_a_frame_that_is_not_understood_is_refused_naming_what_was_wrong(data: bytes, named: str) -> None:
    with pytest.raises(BadInput) as told:
        codec.read_client(data)
    assert told.value.code == "bad_frame"
    assert named in str(told.value).lower()


def test_r10_an_oversized_frame_is_refused_before_it_is_parsed() -> None:
    with pytest.raises(BadInput) as told:
        codec.read_client(b"\xc1" * (m.MAX_FRAME + 1))
    assert told.value.code == "frame_too_big"


@given(st.binary(max_size=200))
def test_r10_no_bytes_raise_anything_but_bad_input(data: bytes) -> None:
    try:
        codec.read_client(data)
    except BadInput:
        pass


@given(st.integers(-2000, 2000), st.integers(-2000, 2000), st.integers(1, 1500), st.integers(1, 1500))
def test_c1_the_tiles_of_a_box_cover_it_and_none_is_outside(x: int, y: int, width: int, height: int) -> None:
    box = Box(x, y, x + width, y + height)
    covered = sum(tile_box(tx, ty).intersect(box).area for tx, ty in tiles_of(box))
    assert covered == box.area
    assert all(not tile_box(tx, ty).intersect(box).is_empty for tx, ty in tiles_of(box))


def test_c2_a_mip_key_depends_on_every_name_and_its_place() -> None:
    assert mip_key(["a", "b", "", "c"]) != mip_key(["a", "", "b", "c"])
    assert len(mip_key(["a"] * 4096)) == 16
