"""The pixel codec of nano: patches of 4 × 4 pixels stand for latents, so encoding and decoding are exact and free."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

PATCH = 4
"""Side of a patch, pixels."""
NATIVE = 128
"""Side of the model's frame, pixels."""
LATENT_CHANNELS = 3 * PATCH * PATCH


def to_model(pixels: Tensor) -> Tensor:
    """[0, 1] colours → the model's range [-1, 1]."""
    return pixels * 2 - 1


def to_pixels(values: Tensor) -> Tensor:
    """The model's range → [0, 1] colours, clipped."""
    return ((values + 1) / 2).clamp(0, 1)


def patchify(planes: Tensor) -> Tensor:
    """(B, C, H, W) → (B, 16·C, H/4, W/4); channel c's 16 pixels stay together."""
    return F.pixel_unshuffle(planes, PATCH)


def unpatchify(tokens: Tensor) -> Tensor:
    """(B, 16·C, h, w) → (B, C, 4·h, 4·w); the inverse of `patchify`."""
    return F.pixel_shuffle(tokens, PATCH)
