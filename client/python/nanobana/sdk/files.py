"""Files from and to the command line: pictures, OpenRaster and canvas files, by what their names end with."""

from pathlib import Path

import anyio

from nanobana.protocol.errors import BadInput
from nanobana.sdk.canvas import join
from nanobana.sdk.http import Links, create_canvas, open_canvas_file

CANVAS_FILE, OPEN_RASTER = ".nanobana", ".ora"
PICTURES = (".png", ".jpg", ".jpeg", ".webp")


async def bring(file: Path, where: str) -> list[str]:
    """A file becomes layers of a canvas, or a new canvas.

    Args:
        where: a canvas's link, or a server's address for a new canvas.

    Returns:
        What to tell: the links of a new canvas, and what could not come as it is in the file.

    Raises:
        BadInput: ``bad_kind``, ``bad_link``; what the server says of the file.
        OSError: the file cannot be read.
    """
    kind = _kind(file, CANVAS_FILE, OPEN_RASTER, *PICTURES)
    data = await anyio.Path(file).read_bytes()
    if kind == CANVAS_FILE:
        if "#" in where:
            raise BadInput("A canvas file becomes a canvas of its own: name the server, not a link.", code="bad_link")
        return _told(await open_canvas_file(where, data))
    told = []
    link = where
    if "#" not in where:
        links = await create_canvas(where, title=file.stem[:80])
        told, link = _told(links), links.owner
    async with join(link) as canvas:
        if kind == OPEN_RASTER:
            told += (await canvas.add_open_raster(data, name=file.stem[:120])).notes
        else:
            await canvas.add_image(data, name=file.stem[:120])
    return told


async def take(link: str, file: Path) -> None:
    """A canvas becomes a file: its picture, its layers, or all of it with its history.

    Raises:
        BadInput: ``bad_kind``, ``bad_link``.
        OSError: the file cannot be written.
    """
    kind = _kind(file, CANVAS_FILE, OPEN_RASTER, ".png")
    async with join(link) as canvas:
        if kind == CANVAS_FILE:
            data = await canvas.save()
        elif kind == OPEN_RASTER:
            data = await canvas.export_open_raster()
        else:
            data = await canvas.export()
    await anyio.Path(file).write_bytes(data)


def _kind(file: Path, *kinds: str) -> str:
    kind = file.suffix.lower()
    if kind not in kinds:
        raise BadInput(f"{file.name} must end with one of {', '.join(kinds)}.", code="bad_kind")
    return kind


def _told(links: Links) -> list[str]:
    return [f"{role:8}{link}" for role, link in (("owner", links.owner), ("edit", links.edit), ("view", links.view))]
