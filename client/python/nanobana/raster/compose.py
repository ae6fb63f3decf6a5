"""Compositing in straight alpha: a patch over or erased from pixels, and the visible layers of a box in one picture."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image

from nanobana.protocol.canvas import Blend, Layer
from nanobana.protocol.geometry import Box, tile_box, tiles_of
from nanobana.protocol.stack import Node, tree
from nanobana.raster.blend import blended
from nanobana.raster.pixels import Covered, Gray, Rgba, Tiles


def over(base: Rgba, patch: Rgba, opacity: float = 1.0, blend: Blend = "normal") -> Rgba:
    """The patch laid over the base (Porter-Duff *over*, straight alpha, float32, rounded).

    On opaque pixels this is E5's ``round(o + C * (g - o))`` with C = alpha / 255; where the patch's alpha is 0 the
    base's bytes stay as they are, colour under zero alpha included.

    Args:
        blend: what becomes of the patch's colour where the base has one (`nanobana.raster.blend`).

    Returns:
        A new array of the base's shape.
    """
    out = base.copy()
    over_into(out, patch, opacity, blend)
    return out


def over_into(base: Rgba, patch: Rgba, opacity: float = 1.0, blend: Blend = "normal") -> None:
    """Like `over`, writing into the base; only the rows and columns that the patch touches are computed."""
    where = _bounds(patch[..., 3] > 0)
    if where is None or opacity <= 0.0:
        return
    o, p = base[where], patch[where]
    alpha = p[..., 3:4].astype(np.float32) * np.float32(opacity / 255.0)
    written = p[..., 3] > 0
    if blend == "normal" and opacity >= 1.0 and bool((p[..., 3] == 255).all()):
        o[...] = p
        return
    source = blended(o, p, blend)
    if bool((o[..., 3] == 255).all()):
        colour = o[..., :3].astype(np.float32)
        mixed = np.rint(colour + alpha * (source - colour)).astype(np.uint8)
        np.copyto(o[..., :3], mixed, where=written[..., None])
        return
    below = o[..., 3:4].astype(np.float32) * np.float32(1.0 / 255.0) * (1.0 - alpha)
    total = alpha + below
    safe = np.maximum(total, np.float32(1e-6))
    mixed = (source * alpha + o[..., :3].astype(np.float32) * below) / safe
    result = np.concatenate([np.rint(mixed), np.rint(total * 255.0)], axis=-1).astype(np.uint8)
    np.copyto(o, result, where=written[..., None])


def erase_into(base: Rgba, patch: Rgba) -> None:
    """Take the patch's alpha away from the base's; colours stay."""
    keep = 255 - patch[..., 3].astype(np.uint16)
    base[..., 3] = (base[..., 3].astype(np.uint16) * keep + 127) // 255


def colour_of(pixels: Rgba) -> npt.NDArray[np.uint8]:
    """[h, w, 3] without the alpha, in one piece; Pillow copies it in a fifth of numpy's time."""
    return np.asarray(Image.fromarray(np.ascontiguousarray(pixels)).convert("RGB"))


def with_alpha(colour: npt.NDArray[np.uint8], alpha: Gray) -> Rgba:
    """A patch of colour [h, w, 3] and alpha [h, w]; all four bytes are 0 where the alpha is."""
    image = Image.fromarray(np.ascontiguousarray(colour))
    image.putalpha(Image.fromarray(np.ascontiguousarray(alpha)))
    patch = np.array(image)
    patch.view(np.uint32)[..., 0] *= alpha > 0
    return patch


def touched(patch: Rgba) -> Covered:
    """Where a patch writes: its alpha is not 0 (C = 0 is never written)."""
    return np.asarray(patch[..., 3] > 0)


def flatten(layers: Sequence[Layer], tiles: Tiles, box: Box) -> Rgba:
    """The visible picture of a box, bottom to top; transparent where there is nothing.

    Args:
        layers: bottom to top; hidden ones are skipped, a group is composited by itself and laid down like one layer.
        tiles: decoded tiles of at least the visible layers inside the box.
        box: canvas pixels, may reach over tile borders and the canvas.

    A single opaque layer comes out byte for byte.
    """
    out = np.zeros((max(0, box.height), max(0, box.width), 4), np.uint8)
    nodes = tree(layers)
    for tx, ty in tiles_of(box):
        frame = tile_box(tx, ty)
        part = frame.intersect(box)
        view = out[part.y0 - box.y0 : part.y1 - box.y0, part.x0 - box.x0 : part.x1 - box.x0]
        inside = (slice(part.y0 - frame.y0, part.y1 - frame.y0), slice(part.x0 - frame.x0, part.x1 - frame.x0))
        here = {layer: tile[inside] for layer in _ids(nodes) if (tile := tiles.get((layer, tx, ty))) is not None}
        _compose(nodes, here, view)
    return out


def _compose(nodes: Sequence[Node], parts: dict[str, Rgba], out: Rgba) -> bool:
    """Lay nodes on transparent pixels, given their layers' parts by ID; False if there was nothing to lay."""
    is_empty = True
    for node in nodes:
        layer, part = node.layer, parts.get(node.layer.id)
        if not layer.visible or layer.opacity <= 0.0:
            continue
        if layer.group:
            part = np.zeros_like(out)
            if not _compose(node.inside, parts, part):
                continue
        if part is None:
            continue
        if is_empty and layer.opacity >= 1.0:
            out[...] = part
        else:
            over_into(out, part, layer.opacity, layer.blend)
        is_empty = False
    return not is_empty


def _ids(nodes: Sequence[Node]) -> list[str]:
    return [layer.id for node in nodes for layer in node.walk() if not layer.group]


def _bounds(mask: Covered) -> tuple[slice, slice] | None:
    rows = np.flatnonzero(mask.any(axis=1))
    if rows.size == 0:
        return None
    columns = np.flatnonzero(mask.any(axis=0))
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)
