"""What bounds a step of the UNet of SD 1.5 on paper: operations and bytes are counted, nothing is run (a second).

    python benchmarks/roofline.py

The network is walked without weights for 512², no guidance, in half precision. `tflop`: two for each multiplication and
addition, of one call. `gb`: weights once; what every layer reads and writes; keys and values that are attended to.
Fused kernels move less, so `…_by_bytes_ms` is an upper bound of that side. For each GPU, of its published peaks (half
precision on tensor cores, dense, sums in float32): `…_ms` is the longer of the two, which no call can beat by much.
Lists are edits of 5 % or 1 %, squares with a cell around them, counted level by level as the executor computes them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from harness import report
from packing import SIDE, sd15_unet
from torch import nn

from nanobana_engine.sparse.geometry import Shape, grown

WORDS = 77
ITEM = 2
"""Bytes of a number in half precision."""
GPUS = {"rtx_3060": (25.5e12, 360e9), "rtx_4090": (165.2e12, 1008e9), "h100_sxm": (989.4e12, 3350e9)}
"""Published peaks: operations and bytes a second."""
CASES = {"dense_1": (1, None), "dense_12": (12, None), "list_5_of_12": (12, 0.05), "list_1_of_40": (40, 0.01),
         "alone_5": (1, 0.05), "alone_1": (1, 0.01)}  # fmt: skip


@dataclass
class Counted:
    """Of one dense picture, by the number of cells of the level at which a layer works; 0: once, whatever the cells."""

    operations: dict[int, float]
    numbers: dict[int, float]
    """Read and written by layers."""
    attended: dict[int, float]
    """Numbers of keys and values; an edit of few cells reads them whole too."""
    weights: float

    def add(self, cells: int, operations: float, numbers: float) -> None:
        self.operations[cells] = self.operations.get(cells, 0.0) + operations
        self.numbers[cells] = self.numbers.get(cells, 0.0) + numbers


def count() -> Counted:
    """By a pass on torch's device without memory."""
    with torch.device("meta"):
        unet = sd15_unet()
        given = (torch.empty(1, 9, SIDE, SIDE), torch.empty(1), torch.empty(1, WORDS, 768))
    found = Counted({}, {}, {}, float(sum(each.numel() for each in unet.parameters())))

    def of_layer(layer: Any, read: tuple[Any, ...], made: Any) -> None:
        cells = made.shape[-2] * made.shape[-1] if made.ndim == 4 else made.shape[1] if made.ndim == 3 else 0
        rows = made.numel() / layer.weight.shape[0]
        found.add(0 if cells == WORDS else cells, 2.0 * rows * layer.weight.numel(), read[0].numel() + made.numel())

    def of_attention(layer: Any, read: tuple[Any, ...]) -> None:
        cells, width = read[0].shape[1:]
        over = WORDS if layer.is_cross_attention else cells
        found.add(cells, 4.0 * cells * over * width, 2.0 * cells * width)
        found.attended[cells] = found.attended.get(cells, 0.0) + 2.0 * over * width

    for layer in unet.modules():
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            layer.register_forward_hook(of_layer)
        elif type(layer).__name__ == "Attention":
            layer.register_forward_pre_hook(of_attention)
    with torch.inference_mode():
        unet(*given)
    return found


def active(share: float | None) -> dict[int, float]:
    """By cells of a level, the share of them that an edit in the middle computes."""
    sizes = [(SIDE >> level) ** 2 for level in range(4)]
    if share is None:
        return dict.fromkeys((0, *sizes), 1.0)
    side = round(SIDE * share**0.5)
    start = (SIDE - side) // 2 + 1  # off the coarser levels' grid, as edits are
    masked = torch.zeros((SIDE, SIDE), dtype=torch.bool)
    masked[start : start + side, start : start + side] = True
    shape = Shape(grown(masked[None])[0], 4, masked)
    return {0: 1.0, **{size: len(level.cells) / size for size, level in zip(sizes, shape.levels, strict=True)}}


def needs(found: Counted, edits: int, share: float | None) -> tuple[float, float]:
    """Operations and bytes of one call."""
    part = active(share)
    operations = sum(part[cells] * each for cells, each in found.operations.items())
    numbers = sum(part[cells] * each for cells, each in found.numbers.items()) + sum(found.attended.values())
    return edits * operations, ITEM * (found.weights + edits * numbers)


def positions(found: Counted) -> dict[str, dict[str, Any]]:
    rows: dict[str, dict[str, Any]] = {}
    for case, (edits, share) in CASES.items():
        operations, moved = needs(found, edits, share)
        row: dict[str, Any] = {"tflop": round(operations / 1e12, 3), "gb": round(moved / 1e9, 2)}
        row["flop_per_byte"] = round(operations / moved)
        for gpu, (fast, wide) in GPUS.items():
            by_work, by_bytes = 1e3 * operations / fast, 1e3 * moved / wide
            row[f"{gpu}_ms"] = round(max(by_work, by_bytes), 2)
            row[f"{gpu}_bound"] = "operations" if by_work > by_bytes else "bytes"
            row[f"{gpu}_by_bytes_ms"] = round(by_bytes, 2)
        rows[case] = row
    return rows


def main() -> None:
    report(roofline=positions(count()))


if __name__ == "__main__":
    main()
