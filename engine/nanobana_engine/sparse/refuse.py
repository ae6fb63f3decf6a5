"""What a walker asks of a module before it walks it: whatever it does not know is refused by name, never guessed at."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from torch import nn


class UnknownBlock(Exception):
    """A part of a network that no walker knows, or knows otherwise; the network runs dense then."""

    def __init__(self, block: str, why: str) -> None:
        super().__init__(f"{block} {why}")
        self.block = block


def check(module: Any, kind: str, block: str, children: Iterable[str], **facts: Any) -> None:
    """A module is of exactly this class, has no other children than these, and its attributes have these values.

    The name of the class is compared, not the class: a wrapper, a subclass or another library's copy is not known.

    Raises:
        UnknownBlock: with what is different.
    """
    if type(module).__name__ != kind:
        raise UnknownBlock(block, f"is a {type(module).__name__}, not a {kind}")
    strange = {name for name, child in module.named_children() if child is not None} - set(children)
    if strange:
        raise UnknownBlock(block, f"is a {kind} with parts that are not known: {', '.join(sorted(strange))}")
    for fact, wanted in facts.items():
        found = getattr(module, fact, None)
        if found != wanted:
            raise UnknownBlock(block, f"is a {kind} whose {fact} is {found!r}, not {wanted!r}")


def check_conv(module: Any, block: str, *, side: int, stride: int = 1) -> nn.Conv2d:
    """A plain convolution with a square kernel, padded so that it keeps the size times 1/stride.

    Raises:
        UnknownBlock: it is something else, for example wrapped by a LoRA that was not merged.
    """
    check(
        module, "Conv2d", block, (), kernel_size=(side, side), stride=(stride, stride), padding=(side // 2, side // 2),
        dilation=(1, 1), groups=1, padding_mode="zeros",
    )  # fmt: skip
    found: nn.Conv2d = module
    return found
