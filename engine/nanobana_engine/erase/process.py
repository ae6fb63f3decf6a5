"""The process that fills: reads one task from its standard input at a time, writes each fill to its standard output."""

from __future__ import annotations

import ctypes
import os
import signal
import struct
import sys
from typing import IO

import msgspec
import numpy as np

LENGTH = struct.Struct(">I")
PR_SET_PDEATHSIG = 1


class Task(msgspec.Struct, frozen=True):
    """Planes as raw bytes, row by row."""

    width: int
    height: int
    pixels: bytes
    """RGB."""
    hole: bytes
    mask: bytes
    """One byte a pixel, 0 or 1."""
    seed: int


class Answer(msgspec.Struct, frozen=True):
    """A fill, or why there is none."""

    step: int = 0
    of: int = 0
    pixels: bytes = b""
    error: str = ""


def main() -> None:
    """Serve tasks until the input ends or the parent dies."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    if len(sys.argv) > 1 and os.getppid() != int(sys.argv[1]):
        return
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    from nanobana_engine.erase.fill import fills

    while (data := _read(sys.stdin.buffer)) is not None:
        task = msgspec.msgpack.decode(data, type=Task)
        shape = (task.height, task.width)
        try:
            for fill in fills(
                np.frombuffer(task.pixels, np.uint8).reshape(*shape, 3),
                np.frombuffer(task.hole, np.bool_).reshape(shape),
                np.frombuffer(task.mask, np.bool_).reshape(shape),
                task.seed,
            ):
                _write(Answer(step=fill.step, of=fill.of, pixels=fill.picture.tobytes()))
        except Exception as error:  # noqa: BLE001 - told to the parent, which decides
            _write(Answer(error=f"{type(error).__name__}: {error}"))


def _read(stream: IO[bytes]) -> bytes | None:
    head = stream.read(LENGTH.size)
    return stream.read(LENGTH.unpack(head)[0]) if len(head) == LENGTH.size else None


def _write(answer: Answer) -> None:
    data = msgspec.msgpack.encode(answer)
    sys.stdout.buffer.write(LENGTH.pack(len(data)) + data)
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
