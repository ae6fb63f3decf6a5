"""Frames: a msgpack array of messages, encoded once and decoded with types."""

from collections.abc import Iterable, Sequence
from typing import TypeVar

import msgspec

from nanobana.protocol.errors import BadInput
from nanobana.protocol.messages import MAX_FRAME, ClientMessage, ServerMessage

_M = TypeVar("_M")
_encoder = msgspec.msgpack.Encoder()
_client = msgspec.msgpack.Decoder(list[ClientMessage])
_server = msgspec.msgpack.Decoder(list[ServerMessage])


def encode(message: msgspec.Struct) -> bytes:
    """One message, without the frame's array around it: encode once, `join` many times."""
    return _encoder.encode(message)


def join(encoded: Sequence[bytes]) -> bytes:
    """A frame from messages that are encoded already: the msgpack array header in front of their bytes."""
    count = len(encoded)
    if count < 16:
        head = bytes((0x90 | count,))
    elif count < 65536:
        head = b"\xdc" + count.to_bytes(2, "big")
    else:
        head = b"\xdd" + count.to_bytes(4, "big")
    return head + b"".join(encoded)


def frame(messages: Iterable[msgspec.Struct]) -> bytes:
    return join([encode(message) for message in messages])


def read_client(data: bytes) -> list[ClientMessage]:
    """What a client sent.

    Raises:
        BadInput: ``frame_too_big`` above MAX_FRAME, ``bad_frame`` for bytes that are no array of known messages;
            the text names the field that was wrong.
    """
    if len(data) > MAX_FRAME:
        raise BadInput(f"a frame may have {MAX_FRAME} bytes, this one has {len(data)}", code="frame_too_big")
    return _decode(_client, data)


def read_server(data: bytes) -> list[ServerMessage]:
    """What a server sent; raises BadInput like `read_client`."""
    return _decode(_server, data)


def _decode(decoder: "msgspec.msgpack.Decoder[list[_M]]", data: bytes) -> list[_M]:
    try:
        return decoder.decode(data)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise BadInput(f"this frame is not understood: {error}", code="bad_frame") from error
