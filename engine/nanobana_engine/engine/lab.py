"""sRGB to CIE L*a*b* (D65) and back, in float32 numpy: the space in which colours are matched (E6)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]

TO_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]],
    np.float32,
)
"""Linear sRGB to XYZ (IEC 61966-2-1)."""
WHITE = TO_XYZ.sum(axis=1)
FROM_XYZ = np.linalg.inv(TO_XYZ).astype(np.float32)
EPSILON, KAPPA = np.float32(216 / 24389), np.float32(24389 / 27)
"""CIE's constants of the linear part near black."""


def to_lab(pixels: Floats) -> Floats:
    """[..., 3] sRGB in 0..1 to L in 0..100, a and b."""
    return _lab(_linear(pixels))


def lab_of(pixels: npt.NDArray[np.uint8]) -> Floats:
    """The same of [..., 3] in 0..255."""
    return _lab(LINEAR[pixels])


def _linear(pixels: Floats) -> Floats:
    low = pixels <= 0.04045
    return np.where(low, pixels / 12.92, ((np.maximum(pixels, 0) + 0.055) / 1.055) ** 2.4).astype(np.float32)


def _lab(linear: Floats) -> Floats:
    xyz = (linear @ TO_XYZ.T) / WHITE
    f = np.where(xyz > EPSILON, np.cbrt(xyz), (KAPPA * xyz + 16) / 116)
    lab: Floats = np.stack(
        [116 * f[..., 1] - 16, 500 * (f[..., 0] - f[..., 1]), 200 * (f[..., 1] - f[..., 2])], axis=-1
    ).astype(np.float32)
    return lab


def from_lab(lab: Floats) -> Floats:
    """Back to sRGB; not clipped."""
    fy = (lab[..., 0] + 16) / 116
    f = np.stack([fy + lab[..., 1] / 500, fy, fy - lab[..., 2] / 200], axis=-1)
    cubed = f**3
    xyz = np.where(cubed > EPSILON, cubed, (116 * f - 16) / KAPPA) * WHITE
    linear = xyz @ FROM_XYZ.T
    high = linear > 0.0031308
    pixels = np.where(high, 1.055 * np.maximum(linear, 1e-9) ** (1 / 2.4) - 0.055, linear * 12.92)
    return np.asarray(pixels, np.float32)


LINEAR = _linear(np.arange(256, dtype=np.float32) / np.float32(255.0))
"""Linear light of each 8-bit value of sRGB."""
