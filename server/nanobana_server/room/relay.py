"""Volatile traffic between the servers that have the same canvas open, and from its engines (R3, R9)."""

from collections.abc import Iterable

import msgspec

from nanobana.protocol import codec
from nanobana.protocol import messages as m
from nanobana.protocol.errors import BadInput

RECORDER = b"\xc1recorder"
"""Says that a flight recorder wants to know what members ask; 0xc1 begins no msgpack, so it is no message.
A mark of its own follows, which each server repeats on the tape behind all that it was asked before."""


def packed(messages: Iterable[msgspec.Struct]) -> bytes:
    """Several messages for the channel at once; engines publish single ones without the array."""
    return codec.frame(messages)


def opened(body: bytes) -> list[m.ServerMessage]:
    """The messages of a payload without its sender; nothing where it is not understood: volatile may be lost."""
    is_array = 0x90 <= body[0] <= 0x9F or body[0] in (0xDC, 0xDD) if body else False
    try:
        return codec.read_server(body if is_array else codec.join([body]))
    except BadInput:
        return []
