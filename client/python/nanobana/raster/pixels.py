"""The array types that the raster works on, and the mapping by which tiles are handed around."""

from collections.abc import Mapping
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Rgba: TypeAlias = npt.NDArray[np.uint8]
"""[height, width, 4] RGBA, 8 bits each, straight alpha."""

Gray: TypeAlias = npt.NDArray[np.uint8]
"""[height, width], 8 bits."""

Covered: TypeAlias = npt.NDArray[np.bool_]
"""[height, width], True where an op wrote the pixel."""

TileKey: TypeAlias = tuple[str, int, int]
"""(layer, tx, ty)."""

Tiles: TypeAlias = Mapping[TileKey, Rgba]
"""Decoded 256 x 256 tiles; a missing key is a transparent tile (C1)."""
