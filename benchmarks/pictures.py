"""Pictures that benchmarks use: public-domain photographs from scikit-image, made grainy, the worst case for tiles."""

import io

import numpy as np
import numpy.typing as npt
from PIL import Image
from skimage import data


def grainy_photo(side: int, seed: int = 0) -> npt.NDArray[np.uint8]:
    """[side, side, 3]: NASA's public-domain portrait, enlarged, with a photograph's grain."""
    photo = Image.fromarray(data.astronaut()).resize((side, side), Image.Resampling.BICUBIC)
    grain = np.random.default_rng(seed).normal(0.0, 6.0, (side, side, 3))
    return np.asarray((np.asarray(photo, np.float32) + grain).clip(0, 255), np.uint8)


def png(pixels: npt.NDArray[np.uint8]) -> bytes:
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG", compress_level=1)
    return out.getvalue()


def jpeg(pixels: npt.NDArray[np.uint8]) -> bytes:
    """As a camera would write it."""
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "JPEG", quality=95)
    return out.getvalue()


def rgba(encoded: bytes) -> npt.NDArray[np.uint8]:
    return np.array(Image.open(io.BytesIO(encoded)).convert("RGBA"))
