"""From an edit's request to what the network sees: retrieval, placement, and the guesses at two sizes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from nanobana_engine.assets.meaning import Understood
from nanobana_engine.assets.pack import AssetPack
from nanobana_engine.assets.retrieve import Retriever
from nanobana_engine.models.nano import backgrounds
from nanobana_engine.models.nano.around import Around, planes, shrunk
from nanobana_engine.models.nano.arrays import Bools, Floats, Picture
from nanobana_engine.models.nano.data import shadow
from nanobana_engine.models.nano.layout import Pose, over, place, random_pose
from nanobana_engine.models.nano.network import Condition
from nanobana_engine.models.nano.recolour import recolour
from nanobana_engine.models.nano.scenery import backdrop_layer, draw_ground, in_light

SCENE_FROM = 0.6
"""Share of the region from which a hole with a ground is a whole scene: its things stand in it, smaller."""
SCENE_SHARE = 0.6


@dataclass(frozen=True, slots=True)
class NanoConditioning:
    """Everything constant about one variation of one edit."""

    frame: Condition
    """What the network sees: (1, …) at its own size."""
    guesses: Tensor
    """(1, 3, 3, H, W): the guesses at the request's size, which the answer is composed from."""
    hole: Tensor
    """(1, 1, H, W)."""
    words: str
    """Attribute words for the text encoder."""
    settled: bool = False
    """Nothing is known around the hole: the first copy is the answer, and the network is not asked."""

    @property
    def frame_size(self) -> tuple[int, int]:
        height, width = self.frame.hole.shape[-2:]
        return int(height), int(width)


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to stand in the hole, decided before any size is known."""

    pictures: tuple[Picture, ...]
    poses: tuple[Pose, ...]
    ground: str | None
    ground_colour: str | None
    light: str | None
    ground_seed: int
    words: str


NOTHING = Wish((), (), None, None, None, 0, "nothing")
"""The surroundings go on."""


def wish(pack: AssetPack, understood: Understood, references: Sequence[Picture], seed: int) -> Wish:
    """Chooses pictures and poses by seed; a user's references take the place of retrieved pictures."""
    rng = np.random.default_rng(seed & (2**63 - 1))
    pictures: list[Picture] = []
    poses: list[Pose] = []
    colours: list[str] = []
    for thing in () if references else understood.things:
        choice = (thing.picture, *thing.alternatives[:1], thing.picture, *thing.alternatives[1:2])
        picture = pack.image(choice[seed % len(choice)])
        if thing.colour is not None:
            picture = recolour(picture, thing.colour)
            colours.append(thing.colour)
        share = {"small": 0.6, "large": 1.0, None: 1.0}[thing.size]
        for _ in range(thing.count):
            pictures.append(picture)
            poses.append(_scaled(random_pose(rng), share))
    for reference in references:
        pictures.append(reference)
        poses.append(Pose(False, 0.0, 1.0, (0.0, 0.0)))
    words = ["object" if len(pictures) == 1 else "objects"] if pictures else []
    if not pictures and understood.ground is None:
        words = ["nothing"]
    if understood.ground is not None:
        words = [*words, "backdrop", "on", understood.ground]
    return Wish(
        tuple(pictures),
        tuple(poses),
        understood.ground,
        understood.ground_colour,
        understood.light,
        int(rng.integers(2**62)),
        " ".join([*words, *colours[:1]]),
    )


def _scaled(pose: Pose, share: float) -> Pose:
    return Pose(pose.mirrored, pose.turn, pose.scale * share, pose.wander)


def reference_layer(wanted: Wish, user_mask: Bools, hole: Bools) -> Floats:
    """(H, W, 4), premultiplied: the ground, if any, and every picture in its place inside the user's mask.

    The ground is drawn for a square around the region, so that it does not depend on the region's shape.
    """
    layer: Floats = np.zeros((*hole.shape, 4), np.float32)
    if wanted.ground is not None:
        side = max(hole.shape)
        rng = np.random.default_rng(wanted.ground_seed)
        drawn = draw_ground(wanted.ground, wanted.ground_colour, wanted.light, rng, side)
        top, left = (side - hole.shape[0]) // 2, (side - hole.shape[1]) // 2
        layer = backdrop_layer(drawn[top : top + hole.shape[0], left : left + hole.shape[1]], hole)
    if wanted.pictures:
        inside = user_mask if user_mask.any() else hole
        poses: Sequence[Pose] = wanted.poses
        stance = backgrounds.BACKGROUNDS[wanted.ground][1] if wanted.ground is not None else "air"
        if wanted.ground is not None and hole.mean() > SCENE_FROM:
            poses = [pose.standing_in(SCENE_SHARE, floats=stance == "air") for pose in poses]
        things = in_light(place(wanted.pictures, poses, inside), wanted.light)
        if hole.all():  # no network will see this: its shadow is drawn
            layer[..., :3] *= 1 - shadow(things[..., 3], stance, max(hole.shape))[..., None]
        layer = things + layer * (1 - things[..., 3:])
    kept: Floats = layer * hole[..., None]
    return kept


def condition(around: Around, pixels: Floats, user_mask: Floats, wanted: Wish, keeps: bool = False) -> NanoConditioning:
    """What the network sees of a region (H, W, 3) in [0, 1], and what its answer is composed from.

    The pictures are placed at the request's size, so they come out as sharp as they are. With `keeps`, what stands in
    the hole is the one guess, under the pictures.
    """
    hole, small_hole = around.hole, around.small_hole
    size = small_hole.shape
    layer = reference_layer(wanted, user_mask > 0.5, hole)
    small_layer = shrunk(layer, size) * small_hole[..., None]
    if keeps:
        kept = shrunk(pixels.astype(np.float32), size)
        small_guesses, guesses, costs = (kept,) * 3, (pixels,) * 3, (0.0, 0.0)
    else:
        small_guesses, guesses, costs = around.small_guesses, around.guesses, around.costs
    frame = Condition(
        _laid_over(layer=small_layer, guesses=small_guesses, hole=small_hole, image=around.small),
        planes(small_hole[..., None].astype(np.float32)),
        planes(small_layer),
        torch.tensor([costs], dtype=torch.float32),
    )
    full = _laid_over(layer=layer, guesses=guesses, hole=hole, image=around.image)
    settled = bool(hole.all()) and not keeps
    return NanoConditioning(frame, full, planes(hole[..., None].astype(np.float32)), wanted.words, settled)


def _laid_over(layer: Floats, guesses: Sequence[Floats], hole: Bools, image: Floats) -> Tensor:
    """(1, 3, 3, H, W): the layer over each guess inside the hole, the image outside."""
    return torch.stack([planes(np.where(hole[..., None], over(layer, g), image)) for g in guesses], 1)


def understand(retriever: Retriever, prompt: str, has_references: bool) -> Understood:
    """What the prompt asks for; with references it may be anything, since they say what to draw.

    Raises:
        UnknownPrompt: nothing in it is known and there are no references.
    """
    if has_references:
        return Understood((), None, None, None)
    return retriever.understand(prompt)
