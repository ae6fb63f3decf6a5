"""Places pictures in a mask: each fitted to its cell of the mask's box, turned and mirrored by seed, kept inside."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from nanobana_engine.models.nano.arrays import Bools, Box, Floats, Picture
from nanobana_engine.models.nano.masks import bounding_box


@dataclass(frozen=True, slots=True)
class Pose:
    """How a picture is set: mirrored or not, turned (degrees), and its size as a share of what fits."""

    mirrored: bool
    turn: float
    scale: float
    wander: tuple[float, float]
    """Where in the free room of its cell it lies: −1 … 1 in x and y, 0 the middle."""

    def standing_in(self, share: float, *, floats: bool) -> Pose:
        """The same at a share of its size, low in its cell unless it floats: a thing in a scene."""
        return Pose(self.mirrored, self.turn, self.scale * share, (self.wander[0], 0.0 if floats else 0.7))


def random_pose(rng: np.random.Generator) -> Pose:
    """A small variation, so that two seeds give two different, equally good placements."""
    turn = float(np.clip(rng.normal(0, 5), -14, 14)) if rng.random() < 0.7 else 0.0
    wander = (float(rng.uniform(-1, 1)), float(rng.uniform(-0.4, 1)))
    return Pose(bool(rng.random() < 0.5), turn, float(rng.uniform(0.82, 1.0)), wander)


def cells(box: Box, count: int) -> list[Box]:
    """`count` cells of a box: one row or column along its longer side, or two rows from four things on."""
    left, top, right, bottom = box
    width, height = right - left, bottom - top
    rows = 1 if count < 4 and width >= height * 0.8 else 2 if count >= 4 or width >= height * 0.5 else count
    rows = min(rows, count)
    if count <= 3 and rows == 2 and count == 2:
        rows = 1 if width >= height else 2
    per_row = [count // rows + (1 if i >= rows - count % rows else 0) for i in range(rows)]
    found: list[Box] = []
    for row, columns in enumerate(per_row):
        y0, y1 = top + height * row // rows, top + height * (row + 1) // rows
        found += [(left + width * i // columns, y0, left + width * (i + 1) // columns, y1) for i in range(columns)]
    return found


def _premultiplied(picture: Picture) -> Image.Image:
    return Image.fromarray(picture).convert("RGBa")


def pose_picture(picture: Picture, pose: Pose, height: int, width: int) -> Image.Image:
    """The picture mirrored, turned, cropped to its opaque part and resized to fit (height, width); premultiplied."""
    image = _premultiplied(picture[:, ::-1] if pose.mirrored else picture)
    limit = 2 * max(height, width)
    if max(image.size) > limit:
        image = image.resize((limit, limit * image.height // image.width), Image.Resampling.BOX)
    if pose.turn:
        image = image.rotate(pose.turn, Image.Resampling.BICUBIC, expand=True)
    opaque = image.getchannel(3).point([0] * 8 + [255] * 248).getbbox() or (0, 0, image.width, image.height)
    image = image.crop(opaque)
    scale = pose.scale * min(width / image.width, height / image.height)
    size = max(2, round(image.width * scale)), max(2, round(image.height * scale))
    return image.resize(size, Image.Resampling.LANCZOS, reducing_gap=2.0)


def place(pictures: Sequence[Picture], poses: Sequence[Pose], mask: Bools) -> Floats:
    """A premultiplied layer (H, W, 4) in [0, 1] with every picture in its cell of the mask's box, mostly inside it."""
    layer: Floats = np.zeros((*mask.shape, 4), np.float32)
    for cell, picture, pose in zip(cells(bounding_box(mask), len(pictures)), pictures, poses, strict=True):
        best: tuple[float, tuple[int, int], Floats] = (-1.0, (0, 0), np.zeros((1, 1, 4), np.float32))
        for shrink in (1.0, 0.9, 0.8, 0.7, 0.6):
            image, corner = _set_in(cell, picture, pose, shrink)
            inside = _inside(image, corner, mask)
            if inside > best[0] + 0.015:
                best = (inside, corner, image)
            if inside > 0.96:
                break
        _, (y, x), image = best
        height, width = image.shape[:2]
        under = layer[y : y + height, x : x + width]
        under[:] = image + under * (1 - image[..., 3:])
    return layer


def _set_in(cell: Box, picture: Picture, pose: Pose, shrink: float) -> tuple[Floats, tuple[int, int]]:
    left, top, right, bottom = cell
    margin = 0.97 * shrink
    height, width = max(2, int((bottom - top) * margin)), max(2, int((right - left) * margin))
    image: Floats = np.asarray(pose_picture(picture, pose, height, width), np.float32) / np.float32(255)
    free_y, free_x = bottom - top - image.shape[0], right - left - image.shape[1]
    y = top + free_y / 2 + pose.wander[1] * 0.45 * free_y
    x = left + free_x / 2 + pose.wander[0] * 0.3 * free_x
    return image, (max(0, round(y)), max(0, round(x)))


def _inside(image: Floats, corner: tuple[int, int], mask: Bools) -> float:
    """The share of a placed picture's opacity that the mask covers."""
    y, x = corner
    alpha = image[..., 3]
    window = mask[y : y + alpha.shape[0], x : x + alpha.shape[1]]
    if window.shape != alpha.shape:
        return -1.0
    return float((alpha * window).sum() / max(1.0, float(alpha.sum())))


def over(layer: Floats, image: Floats) -> Floats:
    """A premultiplied layer (H, W, 4) laid over an image (H, W, 3)."""
    result: Floats = layer[..., :3] + image * (1 - layer[..., 3:])
    return result
