"""Pixels to a model's size and back: untouched at scale 1, Lanczos with antialiasing elsewhere (E3)."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import numpy.typing as npt
from PIL import Image

from nanobana.protocol.geometry import Box

Floats = npt.NDArray[np.float32]
_Item = TypeVar("_Item", np.float32, np.uint8)

PADDED, PADDED_PART = 15, 8
"""A size that is larger by at most these pixels or this part is reached by mirroring the border, not by stretching."""


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


def scaled_box(box: Box, size: tuple[int, int], target: tuple[int, int]) -> tuple[float, float, float, float]:
    """A box of a picture of `size` in the pixels of the same picture after `fit` to `target`."""
    if is_padding(size, target):
        return float(box.x0), float(box.y0), float(box.x1), float(box.y1)
    across, down = target[0] / size[0], target[1] / size[1]
    return box.x0 * across, box.y0 * down, box.x1 * across, box.y1 * down
