"""A part of the seam that an adapter may leave out: to decode no more of a picture than an edit changes (E9)."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import torch

from nanobana.protocol.geometry import Box
from nanobana_engine.models.base import Pixels


@runtime_checkable
class DecodesPart(Protocol):
    """An adapter whose decoder can be asked for a part."""

    def decode_part(self, latents: torch.Tensor, box: Box, beneath: Pixels) -> Pixels:
        """Clean latents to pixels, inside a box for certain; elsewhere what lies beneath, or the picture all the same.

        Args:
            box: in pixels of the picture.
            beneath: [h, w, 3] in 0..1; not to be changed.
        """
        ...
