"""Training scenes made on the fly: a background, things on it, a hole, what was retrieved for it, and the truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.ndimage

from nanobana_engine.assets.pack import AssetPack
from nanobana_engine.models.nano import backgrounds, photos
from nanobana_engine.models.nano.arrays import Bools, Floats, Picture
from nanobana_engine.models.nano.layout import over, place, random_pose
from nanobana_engine.models.nano.masks import bounding_box, random_mask
from nanobana_engine.models.nano.prefill import patchmatch, surroundings
from nanobana_engine.models.nano.recolour import recolour
from nanobana_engine.models.nano.words import COLOURS

Rng = np.random.Generator
FLAT_GROUPS = ("flags", "symbols", "component")
"""Groups shown less often: flat signs teach little."""


RECOLOURED_SHARE = 0.95
"""How often a colour word's reference comes recoloured, as the adapter always gives it; else the network must."""
PATCHMATCH_SHARE = 0.4
"""How often training spends the time on PatchMatch where the engine always does."""


@dataclass(frozen=True, slots=True)
class Scene:
    """One training example at (S, S); colours in [0, 1]."""

    truth: Floats
    """(S, S, 3): what the canvas should show."""
    hole: Bools
    """(S, S), True where it must be filled."""
    guesses: tuple[Floats, Floats, Floats]
    """(S, S, 3) each: the smooth fill and two shifted copies, the reference laid over them."""
    costs: tuple[float, float]
    """How badly each copy's shift matches the surroundings, 0 … 1."""
    reference: Floats
    """(S, S, 4), premultiplied: what the prompt retrieved, placed; empty for "nothing"."""
    words: tuple[str, ...]
    """Attribute words of the prompt."""
    structured: bool
    """True where the background's lines decide (bricks, planks, horizons)."""
    kind: str
    """The background's name, or "photo"."""


class SceneMaker:
    """Makes scenes from the pack; pictures are decoded once, at half size, and every 17th is held out."""

    def __init__(self, pack: AssetPack, size: int, held_out: bool = False) -> None:
        self.size = size
        self.held_out = held_out
        chosen = [p for p in pack.pictures if (p.picture % 17 == 5) == held_out]
        self._pictures: list[Picture] = [np.ascontiguousarray(_halve(pack.image(p.picture))) for p in chosen]
        odds = np.asarray([0.12 if p.group in FLAT_GROUPS else 1.0 for p in chosen])
        self._odds = odds / odds.sum()
        kinds = list(backgrounds.BACKGROUNDS)
        rates = np.asarray([backgrounds.BACKGROUNDS[k][2] for k in kinds])
        self._kinds, self._rates = kinds, rates / rates.sum()

    def picture(self, rng: Rng) -> Picture:
        """A picture at random, as (128, 128, 4) uint8."""
        return self._pictures[int(rng.choice(len(self._pictures), p=self._odds))]

    def background(self, rng: Rng) -> tuple[Floats, str]:
        """A background and its name: 78 % drawn, the rest photographs, with the light and grain of a camera."""
        if rng.random() < 0.22:
            return photos.crop(rng, self.size, self.held_out), "photo"
        kind = str(rng.choice(self._kinds, p=self._rates))
        return backgrounds.draw(kind, rng, self.size), kind

    def scene(self, rng: Rng) -> Scene:
        """One scene. All randomness comes from `rng`."""
        background, kind = self.background(rng)
        hole = random_mask(rng, self.size)
        background = _camera(rng, background)
        background = self._with_distractors(rng, background, hole)
        words: list[str] = []
        subject = rng.random()
        truth = background
        layer: Floats = np.zeros((self.size, self.size, 4), np.float32)
        stance = backgrounds.BACKGROUNDS[kind][1] if kind != "photo" else "ground"
        known = background
        if subject > 0.94:
            truth, layer, kind, stance = self._backdrop(rng, background, hole)
            words += ["backdrop", "on", kind]
        if subject < 0.24:
            words += ["nothing"] if rng.random() < 0.5 else []
        elif subject < 0.94 or rng.random() < 0.6:
            count = int(rng.choice([1, 2, 3], p=[0.8, 0.1, 0.1]))
            pictures = [self.picture(rng) for _ in range(count)]
            shown = pictures
            words += ["object" if count == 1 else "objects"]
            if rng.random() < 0.25:
                colour = str(rng.choice(list(COLOURS)))
                words.append(colour)
                shown = [recolour(p, colour) for p in pictures]
                pictures = shown if rng.random() < RECOLOURED_SHARE else pictures
            truth, things = self._with_things(rng, truth, hole, pictures, shown, stance)
            layer = things + layer * (1 - things[..., 3:])
        around = surroundings(np.where(hole[..., None], 0, known), hole)
        matched_seed = int(rng.integers(2**31))
        if around.shows_seams and rng.random() < PATCHMATCH_SHARE:
            matched = patchmatch(around.smooth, hole, matched_seed)
            around = around if matched is None else around.with_patchmatch(matched)
        guesses = tuple(
            over(layer, g) * hole[..., None] + known * ~hole[..., None] for g in (around.smooth, *around.copies)
        )
        truth = np.where(hole[..., None], truth, known)
        layer = layer * hole[..., None]
        if kind != "photo" and subject <= 0.94 and rng.random() < 0.2:
            words += ["on", kind]
        structured = kind in backgrounds.STRUCTURED
        return Scene(
            truth, hole, (guesses[0], guesses[1], guesses[2]), around.costs, layer, tuple(words), structured, kind
        )

    def _with_distractors(self, rng: Rng, background: Floats, hole: Bools) -> Floats:
        for _ in range(int(rng.choice([0, 1, 2, 3], p=[0.5, 0.2, 0.2, 0.1]))):
            side = int(self.size * rng.uniform(0.2, 0.4))
            x, y = rng.integers(-side // 3, self.size - side * 2 // 3, 2)
            spot = np.zeros_like(hole)
            spot[max(0, y) : y + side, max(0, x) : x + side] = True
            if not (spot & hole).any() and spot.sum() > 64:
                background = over(place([self.picture(rng)], [random_pose(rng)], spot), background)
        return background

    def _backdrop(self, rng: Rng, background: Floats, hole: Bools) -> tuple[Floats, Floats, str, backgrounds.Stance]:
        """Another background that fills the hole, soft at its border: the truth and its premultiplied layer."""
        kind = str(rng.choice(self._kinds, p=self._rates))
        other = backgrounds.draw(kind, rng, self.size)
        depth = scipy.ndimage.distance_transform_edt(np.pad(hole, 1, constant_values=True))[1:-1, 1:-1]
        alpha = np.clip(depth / (0.09 * self.size), 0, 1).astype(np.float32)[..., None]
        alpha = alpha * alpha * (3 - 2 * alpha)
        layer = np.concatenate([other * alpha, alpha], -1)
        return over(layer, background), layer, kind, backgrounds.BACKGROUNDS[kind][1]

    def _with_things(
        self, rng: Rng, ground: Floats, hole: Bools, pictures: Sequence[Picture], shown: Sequence[Picture], stance: str
    ) -> tuple[Floats, Floats]:
        """The scene with its things in the hole, shaded and lit as they should be, and the reference layer as given."""
        poses = [random_pose(rng) for _ in pictures]
        layer = place(pictures, poses, hole)
        truth_layer = layer if shown is pictures else place(shown, poses, hole)
        ground = ground * (1 - shadow(truth_layer[..., 3], stance, self.size)[..., None])
        lit = truth_layer.copy()
        lit[..., :3] *= scene_light(ground, hole)
        return over(lit, ground), layer


def scene_light(ground: Floats, hole: Bools) -> Floats:
    """(3,) gain that a thing takes from dark or tinted surroundings; 1 in plain daylight."""
    mean = ground[~hole].mean(0) if not hole.all() else np.full(3, 0.6, np.float32)
    level = float(np.clip(mean.mean() / 0.32, 0.75, 1.0))
    tint = 1 + 0.22 * (mean / max(float(mean.mean()), 0.05) - 1)
    gain: Floats = np.clip(tint, 0.85, 1.12) * level
    return gain.astype(np.float32)


def shadow(alpha: Floats, stance: str, size: int) -> Floats:
    """(S, S) darkness of the shadow that a thing's alpha casts: a pool at its foot, a drop behind it, or none."""
    if stance == "air" or alpha.max() < 0.1:
        return np.zeros_like(alpha)
    if stance == "flat":
        move = max(1, round(0.02 * size))
        moved = scipy.ndimage.shift(alpha, (move, move * 0.6), order=1)
        drop: Floats = 0.34 * scipy.ndimage.gaussian_filter(moved, 0.022 * size)
        return drop
    left, top, right, bottom = bounding_box(alpha > 0.3)
    foot = alpha[bottom - max(1, (bottom - top) // 3) : bottom].max(0)
    columns = np.flatnonzero(foot > 0.3)
    half = max(3.0, 0.5 * (columns[-1] - columns[0])) if len(columns) else 3.0
    centre = float(columns.mean()) if len(columns) else (left + right) / 2
    y, x = np.mgrid[: alpha.shape[0], : alpha.shape[1]].astype(np.float32)
    pool = ((x - centre) / (half * 1.15)) ** 2 + ((y - bottom + 0.006 * size) / max(2.0, 0.26 * half)) ** 2
    result: Floats = 0.5 * np.clip(1.25 - pool, 0, 1) ** 1.5
    return result


def _camera(rng: Rng, image: Floats) -> Floats:
    """Uneven light over a background, and now and then sensor grain."""
    if rng.random() < 0.3:
        ramp = np.linspace(-1, 1, image.shape[0], dtype=np.float32)
        slope = rng.normal(0, 0.06, 2).astype(np.float32)
        image = image * (1 + slope[0] * ramp[:, None] + slope[1] * ramp[None])[..., None]
    if rng.random() < 0.15:
        image = image + rng.normal(0, rng.uniform(0.005, 0.03), image.shape)
    return np.clip(image, 0, 1).astype(np.float32)


def _halve(picture: Picture) -> Picture:
    """(2h, 2w, 4) straight alpha → (h, w, 4), averaged in premultiplied colour."""
    values = picture.astype(np.float32)
    weighted = np.concatenate([values[..., :3] * values[..., 3:] / 255, values[..., 3:]], -1)
    small = weighted.reshape(values.shape[0] // 2, 2, values.shape[1] // 2, 2, 4).mean((1, 3))
    small[..., :3] *= 255 / np.maximum(small[..., 3:], 1)
    halved: Picture = np.round(small.clip(0, 255)).astype(np.uint8)
    return halved
