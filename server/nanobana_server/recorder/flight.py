"""The file of a recorded canvas: frames one after the other, each whole or not there, however the recorder ended."""

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import msgspec

from nanobana.protocol.errors import BadInput
from nanobana_server.room.tape import Asked
from nanobana_server.store.contents import Value

VERSION = 1
MAGIC = b"nanobana flight\n"


class Begin(msgspec.Struct, frozen=True, kw_only=True, tag="begin"):
    """The first frame: the canvas as it was, undo stacks and all, but for its blobs."""

    version: int
    nanobana: str
    canvas: str
    values: list[Value]


class Blob(msgspec.Struct, frozen=True, kw_only=True, tag="blob"):
    """Bytes that the canvas had, or that something named."""

    name: str
    data: bytes


class Entry(msgspec.Struct, frozen=True, kw_only=True, tag="entry"):
    """One log entry: msgpack of Change."""

    change: bytes


class End(msgspec.Struct, frozen=True, kw_only=True, tag="end"):
    """The last frame: what the canvas must be then. Without it the recorder was killed; what is there counts."""

    seq: int
    digest: str
    """`Replica.digest`."""


Frame = Begin | Blob | Asked | Entry | End

_encode = msgspec.msgpack.Encoder().encode
_frame = msgspec.msgpack.Decoder(Frame)


class Writer:
    """Appends frames; each is on its way to the disk before the next."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        file.write(MAGIC)

    def add(self, frame: Frame) -> None:
        data = _encode(frame)
        self._file.write(len(data).to_bytes(4, "big") + data)
        self._file.flush()


def frames(path: Path) -> Iterator[Frame]:
    """Every frame of a file that is whole.

    Raises:
        BadInput: ``bad_flight``: it is no such file, or of another version.
    """
    with path.open("rb") as file:
        if file.read(len(MAGIC)) != MAGIC:
            raise BadInput(f"{path} is no recorded canvas.", code="bad_flight")
        while len(head := file.read(4)) == 4:
            data = file.read(int.from_bytes(head, "big"))
            if len(data) < int.from_bytes(head, "big"):
                return
            frame = _frame.decode(data)
            if isinstance(frame, Begin) and frame.version != VERSION:
                raise BadInput(f"{path} was recorded by nanobana {frame.nanobana}; use that.", code="bad_flight")
            yield frame
