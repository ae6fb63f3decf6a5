"""Names for the arrays that nano passes around."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Floats: TypeAlias = npt.NDArray[np.floating[Any]]
"""Float planes or pictures; colours in [0, 1]; float32 unless a caller says otherwise."""
Bools: TypeAlias = npt.NDArray[np.bool_]
"""(H, W); in a hole or mask True means: to be filled."""
Picture: TypeAlias = npt.NDArray[np.uint8]
"""(H, W, 4) RGBA, straight alpha."""
Box: TypeAlias = tuple[int, int, int, int]
"""Left, top, right, bottom; right and bottom excluded; pixels."""


def vector(*values: float) -> Floats:
    """A small float32 array: a colour, a point."""
    return np.array(values, np.float32)
