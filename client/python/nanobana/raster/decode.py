"""Reading pictures that came from outside: allow-listed formats, a pixel cap before decoding, upright (R10)."""

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
from PIL import Image, ImageOps

from nanobana.protocol.errors import BadInput
from nanobana.protocol.geometry import MAX_SIDE, Box
from nanobana.raster.pixels import Gray, Rgba

PICTURES = ("JPEG", "PNG", "WEBP")
"""What a person may drop on the page."""

LOSSLESS = ("PNG", "WEBP")
"""What a patch may come in."""

MAX_PIXELS = 50_000_000
"""Largest picture that is decoded: 200 MB of RGBA. A 196 KB PNG can claim 8192 x 8192, so bytes are no measure."""


def probe(data: bytes, *, formats: Sequence[str] = PICTURES, max_pixels: int = MAX_PIXELS) -> tuple[str, int, int]:
    """Format, width and height from the header alone; nothing is decoded.

    Raises:
        BadInput: ``image_format`` for anything off the list, ``image_too_big`` above the caps.
    """
    with _opened(data, formats, max_pixels) as image:
        return image.format or "", image.width, image.height


def decode_image(data: bytes, *, formats: Sequence[str] = PICTURES, max_pixels: int = MAX_PIXELS) -> Rgba:
    """A picture as RGBA, turned upright by its EXIF orientation; call it off the event loop.

    Raises:
        BadInput: ``image_format``, ``image_too_big`` (before decoding), ``bad_image`` (truncated or damaged).
    """
    with _opened(data, formats, max_pixels) as image:
        upright = ImageOps.exif_transpose(image)
        return np.array(_as_rgba(upright))


def decode_patch(data: bytes, box: Box, *, max_pixels: int = MAX_PIXELS) -> Rgba:
    """The RGBA patch of a paint op or a result: lossless, exactly the box's size, no orientation (C11).

    Raises:
        BadInput: as `decode_image`, and ``bad_patch`` where the size is not the box's.
    """
    with _opened(data, LOSSLESS, max_pixels) as image:
        if image.size != (box.width, box.height):
            raise BadInput(
                f"the patch has {image.width} x {image.height} pixels, its box {box.width} x {box.height}",
                code="bad_patch",
            )
        return np.array(_as_rgba(image))


def thumbnail(data: bytes, side: int, *, max_pixels: int = MAX_PIXELS) -> bytes:
    """A picture fitted into a square of `side` pixels, as lossy WebP with its alpha; raises like `decode_image`."""
    with _opened(data, PICTURES, max_pixels) as image:
        small = _as_rgba(ImageOps.exif_transpose(image))
    return _fitted(small, side)


def shrunk(pixels: Rgba, side: int) -> bytes:
    """A picture in memory, fitted like `thumbnail`."""
    return _fitted(Image.fromarray(pixels), side)


def _fitted(image: Image.Image, side: int) -> bytes:
    image.thumbnail((side, side))
    out = io.BytesIO()
    image.save(out, "WEBP", quality=80)
    return out.getvalue()


def decode_mask(data: bytes, box: Box, *, max_pixels: int = MAX_PIXELS) -> Gray:
    """A mask: 8-bit gray PNG of exactly the box's size.

    Raises:
        BadInput: ``bad_mask`` for a wrong size or mode, else as `decode_image`.
    """
    with _opened(data, ("PNG",), max_pixels) as image:
        if image.size != (box.width, box.height) or image.mode not in ("L", "1"):
            raise BadInput(
                f"a mask is a gray PNG of {box.width} x {box.height} pixels, not {image.mode} {image.size}",
                code="bad_mask",
            )
        return np.array(image.convert("L"))


@contextmanager
def _opened(data: bytes, formats: Sequence[str], max_pixels: int) -> Iterator[Image.Image]:
    try:
        image = Image.open(io.BytesIO(data), formats=list(formats))
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise BadInput(f"this picture has more pixels than {max_pixels}", code="image_too_big") from error
    except (OSError, SyntaxError, ValueError) as error:
        kinds = ", ".join(formats)
        raise BadInput(
            f"this is no picture that can be taken here (it must be one of {kinds})", code="image_format"
        ) from (error)
    with image:
        if image.width > MAX_SIDE or image.height > MAX_SIDE or image.width * image.height > max_pixels:
            raise BadInput(
                f"a picture may have {max_pixels} pixels and sides of {MAX_SIDE}, this one is "
                f"{image.width} x {image.height}",
                code="image_too_big",
            )
        try:
            yield image
        except (OSError, SyntaxError, ValueError, EOFError) as error:
            raise BadInput(f"this picture is damaged: {error}", code="bad_image") from error


def _as_rgba(image: Image.Image) -> Image.Image:
    if image.mode == "RGBA":
        return image
    if image.mode in ("I", "I;16", "I;16B", "F"):  # Pillow would clip 16 bits to white instead of scaling them
        plane = np.asarray(image, np.float64)
        top = 65535.0 if plane.max(initial=0) > 255 else 255.0
        image = Image.fromarray(np.rint(plane * (255.0 / top)).clip(0, 255).astype(np.uint8))
    return image.convert("RGBA")
