"""Masks as people draw them: boxes, ellipses, lassos and brush strokes."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

from nanobana_engine.models.nano.arrays import Bools, Box


def random_box(rng: np.random.Generator, size: int) -> Box:
    """Where a mask lies: mostly centred with its longer side near 0.62 of the frame, sometimes small or off centre."""
    kind = rng.random()
    long = rng.uniform(0.5, 0.74) if kind < 0.8 else rng.uniform(0.22, 0.45)
    short = long * rng.uniform(0.55, 1.0)
    width, height = (long, short) if rng.random() < 0.5 else (short, long)
    wander = 0.03 if kind < 0.65 else 0.5
    left = 0.5 - width / 2 + rng.uniform(-wander, wander) * (1 - width)
    top = 0.5 - height / 2 + rng.uniform(-wander, wander) * (1 - height)
    corner = [round(v * size) for v in (left, top, left + width, top + height)]
    left_px, top_px, right_px, bottom_px = (min(size, max(0, v)) for v in corner)
    return left_px, top_px, right_px, bottom_px


def random_mask(rng: np.random.Generator, size: int) -> Bools:
    """A hole (size, size), True inside, in one of the shapes that the canvas offers."""
    left, top, right, bottom = random_box(rng, size)
    scale = 2
    canvas = Image.new("L", (size * scale, size * scale))
    draw = ImageDraw.Draw(canvas)
    box = [v * scale for v in (left, top, right, bottom)]
    shape = rng.random()
    if shape < 0.35:
        draw.rounded_rectangle(box, radius=int(rng.uniform(0, 0.1) * size * scale), fill=255)
    elif shape < 0.6:
        draw.ellipse(box, fill=255)
    else:
        angles = np.linspace(0, 2 * np.pi, 40, endpoint=False)
        waves = sum(rng.normal(0, 0.07) * np.sin(n * angles + rng.uniform(0, 6.3)) for n in range(2, 6))
        radius = np.clip(0.9 + waves, 0.5, 1.0)
        power = rng.uniform(2, 5)
        bulge = (np.abs(np.cos(angles)) ** power + np.abs(np.sin(angles)) ** power) ** (-1 / power)
        x = (box[0] + box[2]) / 2 + np.cos(angles) * bulge * radius * (box[2] - box[0]) / 2
        y = (box[1] + box[3]) / 2 + np.sin(angles) * bulge * radius * (box[3] - box[1]) / 2
        outline = [(float(a), float(b)) for a, b in zip(x, y, strict=True)]
        draw.polygon(outline, fill=255)
        if shape > 0.85:
            pen = int(rng.uniform(0.08, 0.16) * size * scale)
            for _ in range(2):
                start, end = rng.choice(len(outline), 2, replace=False)
                draw.line([outline[start], outline[end]], fill=255, width=pen)
    return np.asarray(canvas.reduce(scale)) > 127


def bounding_box(mask: Bools) -> Box:
    """The smallest box around a mask's True pixels; the whole frame if it has none."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not len(rows):
        return 0, 0, mask.shape[1], mask.shape[0]
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1
