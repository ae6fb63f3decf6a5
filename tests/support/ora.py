"""OpenRaster files for tests: ours read back by pyora, which shares no code with us, and small ones made by hand."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pyora
from PIL import Image

Pixels = npt.NDArray[np.uint8]

HEAD = '<?xml version="1.0" encoding="UTF-8"?>'


def read_by_pyora(data: bytes) -> Any:
    return pyora.Project.load(io.BytesIO(data))


def merged_by_pyora(project: Any) -> Pixels:
    """Its own picture of the layers, groups and modes; not the one that came in the file."""
    return np.asarray(pyora.Renderer(project).render().convert("RGBA"))


def zipped(parts: Mapping[str, bytes | str], *, compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", compression) as file:
        for name, content in parts.items():
            file.writestr(name, content)
    return out.getvalue()


def ora(stack: str, *, size: tuple[int, int] = (64, 48), head: str = HEAD, **pictures: bytes) -> bytes:
    """A file with this inside its root stack, and pictures by the name that their ``src`` has without ``.png``."""
    xml = f'{head}<image version="0.0.5" w="{size[0]}" h="{size[1]}"><stack>{stack}</stack></image>'
    parts: dict[str, bytes | str] = {"mimetype": "image/openraster", "stack.xml": xml}
    return zipped(parts | {f"{name}.png": data for name, data in pictures.items()})


def sheet(width: int, height: int, colour: tuple[int, int, int, int]) -> bytes:
    out = io.BytesIO()
    Image.new("RGBA", (width, height), colour).save(out, "PNG")
    return out.getvalue()
