"""The checksum by which a reader's copy of a canvas is compared with the store's (R9)."""

import zlib
from collections.abc import Iterable

from nanobana.protocol.canvas import Layer


def canvas_sum(layers: Iterable[Layer], tiles: Iterable[tuple[str, int, int, str]]) -> int:
    """CRC-32 over the list of layers and the names of all tiles, one a line; equal for equal canvases (C11).

    A wrong copy is missed once in 2**32 times, and the next sample has other neighbours: enough to find bugs with, at a
    price that lets every browser compute it.

    Args:
        layers: bottom to top.
        tiles: layer, tx, ty, name, in any order; "" (transparent) is left out.
    """
    rows = [f"{layer.id} {int(layer.visible)}{int(layer.locked)} {layer.blend} {layer.parent}" for layer in layers]
    rows += sorted(f"{layer}/{tx}/{ty} {name}" for layer, tx, ty, name in tiles if name)
    return zlib.crc32("\n".join(rows).encode())
