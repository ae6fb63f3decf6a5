"""Previews without a decoder: a straight line from a latent cell to a colour, fitted to the model's own encoder."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nanobana_engine.models.base import Pixels

PATCHES = 8
"""Patches of one colour along a side of the chart; 64 colours fix a handful of coefficients."""
CELLS = 2
"""Latent cells along a side of a patch."""


class Projection:
    """Colours of latents by least squares over a chart of random colours, encoded once when the first preview is made.

    Args:
        encode: pixels to latents, of the model.
        stride: pixels per latent cell.
    """

    def __init__(self, encode: Callable[[Pixels], Tensor], stride: int) -> None:
        self._encode = encode
        self._stride = stride
        self._matrix: Tensor | None = None

    def __call__(self, latents: Tensor) -> npt.NDArray[np.uint8]:
        """[C, h, w] → [h, w, 3], one pixel a cell."""
        if self._matrix is None:
            self._matrix = self._fitted()
        cells = torch.cat([latents.float().cpu(), torch.ones_like(latents[:1], dtype=torch.float32, device="cpu")])
        colours = torch.einsum("chw,cd->hwd", cells, self._matrix).clamp(0, 1)
        picture: npt.NDArray[np.uint8] = (colours * 255).round().to(torch.uint8).numpy()
        return picture

    def _fitted(self) -> Tensor:
        """[C + 1, 3], the last row what every cell gets."""
        colours = np.random.default_rng(0).random((PATCHES, PATCHES, 3), np.float32)
        side = CELLS * self._stride
        latents = self._encode(np.ascontiguousarray(colours.repeat(side, 0).repeat(side, 1))).float().cpu()
        cells = latents.flatten(1).T
        wanted = torch.from_numpy(colours.repeat(CELLS, 0).repeat(CELLS, 1)).flatten(0, 1)
        known = torch.cat([cells, torch.ones(len(cells), 1)], dim=1)
        matrix: Tensor = torch.linalg.lstsq(known.double(), wanted.double()).solution.float()
        return matrix
