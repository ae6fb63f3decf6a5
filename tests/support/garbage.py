"""Frames that no honest client sends: valid ones with a field or a byte gone wrong, and noise."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import msgspec

from nanobana.protocol import messages as m
from nanobana.protocol.geometry import Box
from nanobana.protocol.parameters import EditParams
from nanobana.raster.codec import encode_png
from support.strokes import flat, mask_png

_encode = msgspec.msgpack.encode

ODD: tuple[Any, ...] = (
    None, True, -1, 0, 2**31, 2**63, -(2**63), 1e308, float("nan"), float("inf"), "", "x" * 5000, "\x00", "💥" * 300,
    b"", b"\xff" * 3000, [], [[]], {}, {"t": "paint"}, [0, 0, 0, 0], [9, 9, 1, 1], [0, 0, 10**9, 10**9], [-5, -5, 5, 5],
)  # fmt: skip
"""Values that a careless reader trips over."""


class Garbage:
    """Makes one frame after the other.

    Args:
        op: gives the next op ID of the client that sends them, as `[client, n]`.
    """

    def __init__(self, seed: int, op: Callable[[], Any]) -> None:
        self._dice = random.Random(seed)
        self._op = op

    def frame(self) -> bytes | str:
        """The next one."""
        dice = self._dice
        roll = dice.random()
        if roll < 0.5:
            return _encode([self._bent(self._honest()) for _ in range(dice.randrange(1, 4))])
        if roll < 0.85:
            return self._flipped(_encode([self._honest()]))
        if roll < 0.9:
            return _encode(dice.choice(ODD))
        if roll < 0.92:
            return dice.choice(["", "[]", "hello", "\x00" * 50])
        if roll < 0.96:
            return b"\x91" * dice.randrange(1, 3000)
        return dice.randbytes(dice.randrange(0, 300))

    def _honest(self) -> dict[str, Any]:
        """A message of any kind as a map, as it would be right."""
        box = Box(3, 4, 40, 30)
        message = self._dice.choice(
            [
                m.Paint(op=self._op(), layer="base", box=box, png=encode_png(flat(box, (9, 9, 9, 255)))),
                m.LayerAdd(op=self._op(), layer=f"g{self._dice.randrange(10**9)}", name="g"),
                m.LayerSet(op=self._op(), layer="base", opacity=0.5),
                m.LayerMove(op=self._op(), layer="base", index=1),
                m.LayerDelete(op=self._op(), layer="none"),
                m.CanvasSet(op=self._op(), title="t"),
                m.Edit(op=self._op(), edit=EditParams(box=box, mask_png=mask_png(box), prompt="a pear")),
                m.Cancel(op=self._op(), job="none-1"),
                m.Decide(op=self._op(), job="none-1", accept=True),
                m.Undo(op=self._op()),
                m.Redo(op=self._op()),
                m.Restore(op=self._op(), seq=1, box=box),
                m.VersionSet(op=self._op(), version="v", name="v", seq=0),
                m.Cursor(x=1.0, y=2.0),
                m.Stroke(id="s", kind="paint", points=[1.0, 2.0, 0.5]),
                m.Mask(tile=(1, 0), png=mask_png(Box(0, 0, 256, 256))),
                m.Prepare(box=box, png=mask_png(box)),
                m.Ping(n=1),
                m.Hello(protocol=1, ticket="t", client="c"),
            ]
        )
        built: dict[str, Any] = msgspec.msgpack.decode(_encode(message))
        return built

    def _bent(self, message: dict[str, Any]) -> Any:
        """One field (or one of a nested map) is gone, odd, or one too many."""
        dice = self._dice
        inner = [value for value in message.values() if isinstance(value, dict)]
        target = dice.choice([message, *inner])
        key = dice.choice(list(target)) if target else "t"
        what = dice.random()
        if what < 0.6:
            target[key] = dice.choice(ODD)
        elif what < 0.8:
            target.pop(key, None)
        elif what < 0.95:
            target[dice.choice(["x", "op", "t", "box", ""])] = dice.choice(ODD)
        else:
            return dice.choice(ODD)
        return message

    def _flipped(self, data: bytes) -> bytes:
        """Some bytes changed, dropped or put in."""
        dice, out = self._dice, bytearray(data)
        for _ in range(dice.randrange(1, 6)):
            at = dice.randrange(len(out)) if out else 0
            what = dice.random()
            if what < 0.6 and out:
                out[at] = dice.randrange(256)
            elif what < 0.8 and out:
                del out[at : at + dice.randrange(1, 9)]
            else:
                out[at:at] = dice.randbytes(dice.randrange(1, 9))
        return bytes(out)
