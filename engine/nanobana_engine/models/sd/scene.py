"""What a pass was made of, cell by cell: by this alone is decided whether a recorded one still holds (E9)."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from nanobana_engine.models.base import MaskPlane, Pixels


@dataclass(frozen=True, slots=True)
class Scene:
    """The canvas under one picture, and what of it is to change."""

    room: str
    """Nothing is reused across rooms."""
    content: Tensor
    """[h, w], int64: a digest of the pixels under each cell."""
    masked: Tensor
    """[h, w], bool: D is above 0 somewhere in the cell."""


def scene_of(room: str, pixels: Pixels, mask: MaskPlane, stride: int) -> Scene:
    """Of a request's pixels and its D."""
    masked = F.max_pool2d(torch.from_numpy(np.ascontiguousarray(mask > 0, np.float32))[None, None], stride)[0, 0]
    return Scene(room, content_of(pixels, stride), masked > 0)


def content_of(pixels: Pixels, stride: int) -> Tensor:
    """[h, w], int64: equal where the pixels under a cell are, bit by bit."""
    height, width = (side // stride for side in pixels.shape[:2])
    blocks = pixels[: height * stride, : width * stride].reshape(height, stride, width, stride, -1)
    rows = np.ascontiguousarray(blocks.transpose(0, 2, 1, 3, 4)).reshape(height * width, -1)
    digests = b"".join(hashlib.blake2b(row.data, digest_size=8).digest() for row in rows)
    return torch.from_numpy(np.frombuffer(digests, np.int64).reshape(height, width).copy())
