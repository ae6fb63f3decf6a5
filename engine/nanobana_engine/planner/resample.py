"""Pixels to a model's size and back: untouched at scale 1, Lanczos with antialiasing elsewhere (E3)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import TypeVar

import numpy as np
import numpy.typing as npt
from PIL import Image

from nanobana.protocol.geometry import Box

Floats = npt.NDArray[np.float32]
_Item = TypeVar("_Item", np.float32, np.uint8)

PADDED, PADDED_PART = 15, 8
"""A size that is larger by at most these pixels or this part is reached by mirroring the border, not by stretching."""


def to_floats(picture: npt.NDArray[np.uint8]) -> Floats:
    """0..255 to 0..1."""
    floats = picture.astype(np.float32)
    floats /= np.float32(255.0)
    return floats


def to_bytes(picture: Floats) -> npt.NDArray[np.uint8]:
    """0..1, or what lies a little outside, to 0..255, rounded."""
    scaled = picture * np.float32(255.0)
    np.rint(scaled, out=scaled)
    return np.clip(scaled, 0.0, 255.0, out=scaled).astype(np.uint8)


def is_padding(size: tuple[int, int], target: tuple[int, int]) -> bool:
    """Whether a picture of `size` reaches `target` at scale 1, by a mirrored margin right and below at the most."""
    return all(
        0 <= there - here <= max(PADDED, here // PADDED_PART) and there < 2 * here
        for here, there in zip(size, target, strict=True)
    )


def fit(picture: npt.NDArray[_Item], target: tuple[int, int]) -> npt.NDArray[_Item]:
    """A picture [h, w] or [h, w, c] at the size (width, height) at which the model will see it."""
    height, width = picture.shape[:2]
    if (width, height) == target:
        return picture
    if is_padding((width, height), target):
        margins = [(0, target[1] - height), (0, target[0] - width)] + [(0, 0)] * (picture.ndim - 2)
        return np.pad(picture, margins, mode="reflect")
    return resize(picture, target)


def unfit(picture: Floats, size: tuple[int, int]) -> Floats:
    """The way back from `fit`: [h, w, c] at the model's size to (width, height) of the context."""
    height, width = picture.shape[:2]
    if is_padding(size, (width, height)):
        return picture[: size[1], : size[0]]
    return resize(picture, size)


def resize(
    picture: npt.NDArray[_Item], target: tuple[int, int], part: tuple[float, float, float, float] | None = None
) -> npt.NDArray[_Item]:
    """Lanczos, antialiased when shrinking; float pictures are clipped to their range, which Lanczos overshoots.

    Args:
        part: x0, y0, x1, y1 of the picture to take, in its pixels, fractions allowed; None: all of it.
    """
    if picture.dtype == np.uint8:
        return np.asarray(Image.fromarray(picture).resize(target, Image.Resampling.LANCZOS, box=part))
    planes = picture[..., None] if picture.ndim == 2 else picture
    done = [
        np.asarray(Image.fromarray(np.ascontiguousarray(plane)).resize(target, Image.Resampling.LANCZOS, box=part))
        for plane in np.moveaxis(planes, -1, 0)
    ]
    result: npt.NDArray[_Item] = np.clip(np.stack(done, axis=-1), 0.0, 1.0).astype(picture.dtype)
    if picture.ndim == 2:
        result = result[..., 0]
    return result


SUPPORT = 3
"""Of the Lanczos kernel, in pixels of the coarser picture."""


def window(
    read: Callable[[Box], npt.NDArray[_Item]], size: tuple[int, int], target: tuple[int, int], box: Box
) -> npt.NDArray[_Item]:
    """A part of what `fit` makes of a picture that is never held whole.

    Args:
        read: the picture's pixels of any box inside it.
        size: its width and height.
        target: the size that it is brought to.
        box: the wanted part, in the pixels of the target.
    """
    whole = Box(0, 0, *size)
    if is_padding(size, target):
        # the mirrored margin shows what lies as far inside the border
        over_x, over_y = max(0, box.x1 - size[0]), max(0, box.y1 - size[1])
        part = Box(min(box.x0, size[0] - 1 - over_x), min(box.y0, size[1] - 1 - over_y), box.x1, box.y1)
        piece = read(part.intersect(whole))
        if over_x or over_y:
            piece = np.pad(piece, [(0, over_y), (0, over_x)] + [(0, 0)] * (piece.ndim - 2), mode="reflect")
        return piece[box.y0 - part.y0 :, box.x0 - part.x0 :]
    across, down = size[0] / target[0], size[1] / target[1]
    x0, y0, x1, y1 = box.x0 * across, box.y0 * down, box.x1 * across, box.y1 * down
    margin_x, margin_y = math.ceil(SUPPORT * max(1.0, across)) + 1, math.ceil(SUPPORT * max(1.0, down)) + 1
    part = Box(
        math.floor(x0) - margin_x, math.floor(y0) - margin_y, math.ceil(x1) + margin_x, math.ceil(y1) + margin_y
    ).intersect(whole)
    inside = (x0 - part.x0, y0 - part.y0, min(x1, size[0]) - part.x0, min(y1, size[1]) - part.y0)
    return resize(read(part), (box.width, box.height), inside)


BLOCK = 1024
"""Side, in pixels of the larger picture, of the pieces in which a picture is reduced."""


def reduced(
    read: Callable[[Box], npt.NDArray[_Item]], size: tuple[int, int], target: tuple[int, int]
) -> npt.NDArray[_Item]:
    """All of what `fit` makes of a picture that is never held whole, made block by block."""
    side = max(16, round(BLOCK * min(1.0, max(target) / max(size))))
    rows = []
    for y in range(0, target[1], side):
        row = Box(0, y, target[0], min(y + side, target[1]))
        rows.append(np.concatenate([window(read, size, target, box) for box in blocks(row, side)], axis=1))
    return np.concatenate(rows, axis=0)


def unfit_window(
    read: Callable[[Box], npt.NDArray[_Item]], target: tuple[int, int], size: tuple[int, int], box: Box
) -> npt.NDArray[_Item]:
    """The way back from `window`: a part `box` of the picture of `size`, from one that was fitted to `target`."""
    return read(box) if is_padding(size, target) else window(read, target, size, box)


def reading(picture: npt.NDArray[_Item]) -> Callable[[Box], npt.NDArray[_Item]]:
    """An array as something that windows are read from."""
    return lambda box: picture[box.y0 : box.y1, box.x0 : box.x1]


def blocks(box: Box, side: int) -> Iterator[Box]:
    """A box cut into pieces of at most `side`, row by row."""
    for y in range(box.y0, box.y1, side):
        for x in range(box.x0, box.x1, side):
            yield Box(x, y, min(x + side, box.x1), min(y + side, box.y1))


def scaled_box(box: Box, size: tuple[int, int], target: tuple[int, int]) -> tuple[float, float, float, float]:
    """A box of a picture of `size` in the pixels of the same picture after `fit` to `target`."""
    if is_padding(size, target):
        return float(box.x0), float(box.y0), float(box.x1), float(box.y1)
    across, down = target[0] / size[0], target[1] / size[1]
    return box.x0 * across, box.y0 * down, box.x1 * across, box.y1 * down
