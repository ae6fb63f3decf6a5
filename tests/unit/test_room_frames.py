"""Frames are cut out whole however the bytes arrive; what is no plain frame is left to the protocol core (R10)."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode

from nanobana.protocol.messages import MAX_FRAME
from nanobana_server.room.frames import Framing


def wire(opcode: Opcode, payload: bytes, *, fin: bool = True) -> bytes:
    """A client's frame as websockets writes it."""
    return Frame(opcode, payload, fin).serialize(mask=True)


def fed(stream: bytes, cuts: list[int]) -> list[tuple[bytes, bytes | None]]:
    framing = Framing(whole=True)
    places = sorted({0, len(stream), *(cut % (len(stream) + 1) for cut in cuts)})
    return [each for a, b in pairwise(places) for each in framing.feed(stream[a:b])]


@given(st.lists(st.binary(max_size=70_000), max_size=6), st.lists(st.integers(min_value=0), max_size=12))
def test_r1_binary_messages_come_out_whole_however_they_arrive(payloads: list[bytes], cuts: list[int]) -> None:
    frames = [wire(Opcode.BINARY, payload) for payload in payloads]
    assert fed(b"".join(frames), cuts) == list(zip(frames, payloads, strict=True))


@given(st.lists(st.integers(min_value=0), max_size=8))
def test_r10_text_pings_and_fragments_are_handed_on_as_they_are(cuts: list[int]) -> None:
    frames = [
        wire(Opcode.TEXT, b"hello"),
        wire(Opcode.PING, b"p"),
        wire(Opcode.BINARY, b"half", fin=False),
        wire(Opcode.PONG, b""),
        wire(Opcode.CONT, b"other half"),
        wire(Opcode.BINARY, b"whole again"),
    ]
    assert fed(b"".join(frames), cuts) == [*((frame, None) for frame in frames[:5]), (frames[5], b"whole again")]


@pytest.mark.parametrize(
    "bad",
    [
        Frame(Opcode.BINARY, b"not masked").serialize(mask=False),
        bytes([0x82 | 0x40]) + wire(Opcode.BINARY, b"reserved")[1:],
        b"\x82\xff" + (MAX_FRAME + 1).to_bytes(8, "big") + b"\0\0\0\0",
    ],
)
def test_r10_a_stream_that_goes_wrong_is_left_to_the_core_from_there_on(bad: bytes) -> None:
    framing = Framing(whole=True)
    good = wire(Opcode.BINARY, b"good")
    assert list(framing.feed(good + bad)) == [(good, b"good"), (bad, None)]
    assert list(framing.feed(b"anything")) == [(b"anything", None)]


def test_a_stream_that_does_not_begin_with_a_frame_is_never_cut() -> None:
    framing = Framing(whole=False)
    assert next(iter(framing.feed(wire(Opcode.BINARY, b"x"))))[1] is None
