"""What the surroundings of a hole say about a ground drawn in it: where the horizon is, and what light there is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nanobana_engine.models.nano.arrays import Bools, Floats, vector

LUMA = vector(0.299, 0.587, 0.114)
BAND = 0.05
"""Height of the strips that are compared above and below a line, as a share of the frame."""
WIDE_BAND = 0.22
"""The same for what lies farther: where a wall's joints repeat it is alike above and below."""
LEAST_STEP = 0.07
"""Difference of colour above and below, in [0, 1], from which a line can be a horizon."""
AGREEING = 0.6
"""Share of the columns that must show the step."""
LASTING = 0.7
"""Share of the step that must be left over the wider strips."""
SMOOTH = 0.6
"""Deviation of what is above, over the step, below which it can be a sky."""
SEEN = 0.25
"""Share of the frame's width in which the line must be seen."""
DAYLIGHT, VIVID = 0.42, 0.07
"""Mean brightness and chroma from which surroundings are taken for plain daylight, in full colour."""
TINT = 0.15
"""How much of the surroundings' own colour is the light's: most of it is that of things."""


@dataclass(frozen=True, slots=True)
class Setting:
    """The surroundings of a hole."""

    horizon: float | None
    """Its height as a share of the frame's, 0 the top; None where none is seen."""
    brightness: float
    """Mean, in [0, 1]."""
    light: Floats
    """(3,) gain that a thing of daylight colours takes here, at most about 1."""
    vividness: float
    """1 where the surroundings have colours, 0 where they are grey."""


def setting_of(image: Floats, hole: Bools) -> Setting | None:
    """The setting of a hole (H, W) in an image (H, W, 3) in [0, 1]; None where nothing is known."""
    if hole.all():
        return None
    known = image[~hole]
    mean = known.mean(0)
    brightness = float(mean @ LUMA)
    tint = 1 + TINT * (mean / max(float(mean.mean()), 0.05) - 1)
    light = np.clip(tint, 0.85, 1.12) * min(1.0, max(0.25, brightness / DAYLIGHT))
    vividness = min(1.0, float(np.ptp(known, axis=-1).mean()) / VIVID)
    return Setting(find_horizon(image, hole), brightness, light.astype(np.float32), vividness)


def find_horizon(image: Floats, hole: Bools) -> float | None:
    """The uppermost line across the known part of an image under which it looks different as a whole.

    At each height the strips above and below are compared column by column; a horizon is where most columns show the
    same step, what lies farther above and below differs too, and what is above is as smooth as a sky.
    """
    height = len(hole)
    band, wide = max(2, round(BAND * height)), max(4, round(WIDE_BAND * height))
    known = (~hole).astype(np.float32)
    masked = image * known[..., None]
    sums, counts = _above(masked), _above(known)
    squares = _above((masked**2).sum(-1))
    scores = np.zeros(height)
    for y in range(wide, height - wide):
        seen = counts[y + band] - counts[y - band] == 2 * band
        if seen.mean() < SEEN:
            continue
        steps = (2 * sums[y] - sums[y - band] - sums[y + band]) / band
        middle = np.median(steps[seen], 0)
        size = float(np.linalg.norm(middle))
        agreeing = seen & (steps @ middle > 0.5 * size**2)
        if size < LEAST_STEP or agreeing.sum() < AGREEING * seen.sum():
            continue
        top, bottom = y - wide, y + wide
        count = (counts[y] - counts[top])[agreeing].sum()
        above = (sums[y] - sums[top])[agreeing].sum(0) / count
        below = (sums[bottom] - sums[y])[agreeing].sum(0) / (counts[bottom] - counts[y])[agreeing].sum()
        variance = (squares[y] - squares[top])[agreeing].sum() / count - float(above @ above)
        if float((above - below) @ middle) > LASTING * size**2 and variance < (SMOOTH * size) ** 2:
            scores[y] = size
    if not scores.any():
        return None
    first = int(np.flatnonzero(scores > 0.5 * scores.max())[0])
    near = scores[first : first + 2 * band]
    return float((first + int(near.argmax())) / height)


def _above(plane: Floats) -> Floats:
    """(H + 1, W …): at each height the sums of each column above it."""
    result: Floats = np.cumsum(np.pad(plane, ((1, 0), *((0, 0),) * (plane.ndim - 1))), 0, dtype=np.float64)
    return result
