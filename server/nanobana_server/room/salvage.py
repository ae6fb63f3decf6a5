"""Reads a client's frame message by message, so that one bad message is refused by itself and the rest counts (R10)."""

import re

import msgspec

from nanobana.protocol import codec
from nanobana.protocol import messages as m
from nanobana.protocol.canvas import OpId
from nanobana.protocol.errors import BadInput
from nanobana.protocol.parameters import FAULTS

MAX_REFUSED = 8
"""A frame with more bad messages than this is refused as a whole."""

_KNOWN = frozenset(kind.__struct_config__.tag for kind in m.ClientMessage.__args__)
_raws = msgspec.msgpack.Decoder(list[msgspec.Raw])
_one = msgspec.msgpack.Decoder(m.ClientMessage)


_EDIT_FIELD = re.compile(r"at `\$\.edit\.(\w+)")
"""How msgspec names the field of an edit that was wrong."""


class _Tag(msgspec.Struct, frozen=True):
    t: str = ""


class _Op(msgspec.Struct, frozen=True):
    op: OpId


_tag = msgspec.msgpack.Decoder(_Tag)
_op = msgspec.msgpack.Decoder(_Op)


def read(data: bytes) -> list[m.ClientMessage | m.Reject | m.Problem]:
    """The messages of a frame in order; in the place of one that is not understood stands the answer to it.

    Codes: ``unknown_message``, ``bad_message`` (a field is wrong or missing), ``too_big`` (a field is too long), and
    for fields of an edit those of `nanobana.protocol.parameters.FAULTS`.

    Raises:
        BadInput: ``frame_too_big``, or ``bad_frame`` where it is no msgpack array or almost nothing in it is good.
    """
    try:
        return list(codec.read_client(data))
    except BadInput as error:
        if error.code != "bad_frame":
            raise
        return _one_by_one(data, error)


def _one_by_one(data: bytes, whole: BadInput) -> list[m.ClientMessage | m.Reject | m.Problem]:
    try:
        raws = _raws.decode(data)
    except (msgspec.DecodeError, RecursionError):
        raise whole from None
    found: list[m.ClientMessage | m.Reject | m.Problem] = []
    refused = 0
    for raw in raws:
        try:
            found.append(_one.decode(raw))
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
            refused += 1
            if refused > MAX_REFUSED:
                raise whole from None
            found.append(_refusal(raw, error))
    return found


def _refusal(raw: msgspec.Raw, error: Exception) -> m.Reject | m.Problem:
    try:
        tag = _tag.decode(raw).t
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        tag = ""
    if tag not in _KNOWN:
        code, text = "unknown_message", "this server does not know that message: reload the page"
    elif field := _EDIT_FIELD.search(str(error)):
        code, text = FAULTS.get(field[1], ("bad_message", f"this message is not understood: {error}"))
    elif "of length <=" in str(error):
        code, text = "too_big", f"a part of this message is too long: {error}"
    else:
        code, text = "bad_message", f"this message is not understood: {error}"
    try:
        return m.Reject(op=_op.decode(raw).op, code=code, message=text)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return m.Problem(code=code, message=text)
