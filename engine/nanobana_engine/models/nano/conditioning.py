"""From an edit's request to what the network sees: retrieval, placement, and the guesses at two sizes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from nanobana_engine.assets.meaning import Understood
from nanobana_engine.assets.pack import AssetPack
from nanobana_engine.assets.retrieve import Retriever
from nanobana_engine.models.nano import backgrounds
from nanobana_engine.models.nano.around import Around, Region, planes, shrunk, stack
from nanobana_engine.models.nano.arrays import Bools, Floats, Picture
from nanobana_engine.models.nano.layout import Pose, random_pose
from nanobana_engine.models.nano.masks import bounding_box
from nanobana_engine.models.nano.network import Condition
from nanobana_engine.models.nano.recolour import recolour
from nanobana_engine.models.nano.scenery import Ground, backdrop_layer, draw_ground, in_light
from nanobana_engine.models.nano.setting import setting_of
from nanobana_engine.models.nano.staging import SCENE_SHARE, Group, floats, placed, shadows, staged

SCENE_FROM = 0.6
"""Share of the region from which a hole with a ground is a whole scene: its things stand in it, smaller."""


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
class NanoKept:
    """A later stage of a large region: its layout was composed from the canvas's own pixels and enlarged with the
    canvas's own detail, to which a network of NATIVE pixels has nothing to add."""

    latents: Tensor
    """Of what was enlarged."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to stand in the hole, decided before any size is known."""

    pictures: tuple[Picture, ...]
    poses: tuple[Pose, ...]
    hangs: tuple[bool, ...]
    """For each picture whether its thing is one that floats in the air."""
    ground: Ground | None
    light: str | None
    words: str


NOTHING = Wish((), (), (), None, None, "nothing")
"""The surroundings go on."""


def wish(pack: AssetPack, understood: Understood, references: Sequence[Picture], seed: int) -> Wish:
    """Chooses pictures and poses by seed; a user's references take the place of retrieved pictures."""
    rng = np.random.default_rng(seed & (2**63 - 1))
    pictures: list[Picture] = []
    poses: list[Pose] = []
    hangs: list[bool] = []
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
            hangs.append(floats(pack.pictures[thing.picture].emoji))
            poses.append(_scaled(random_pose(rng), share))
    for reference in references:
        pictures.append(reference)
        hangs.append(False)
        poses.append(Pose(False, 0.0, 1.0, (0.0, 0.0)))
    words = ["object" if len(pictures) == 1 else "objects"] if pictures else []
    if not pictures and understood.ground is None:
        words = ["nothing"]
    if understood.ground is not None:
        words = [*words, "backdrop", "on", understood.ground]
    ground = None
    if understood.ground is not None:
        ground = Ground(understood.ground, understood.ground_colour, understood.light, int(rng.integers(2**62)))
    attributes = " ".join([*words, *colours[:1]])
    return Wish(tuple(pictures), tuple(poses), tuple(hangs), ground, understood.light, attributes)


def _scaled(pose: Pose, share: float) -> Pose:
    return Pose(pose.mirrored, pose.turn, pose.scale * share, pose.wander)


def reference_layer(wanted: Wish, user_mask: Bools, hole: Bools, region: Callable[[], Region]) -> Floats | None:
    """(H, W, 4), premultiplied: the ground, if any, and every picture in its place inside the user's mask.

    Args:
        region: of the hole; asked for where there is a ground, which is drawn after what is known around.

    Returns:
        None where nothing is wanted.
    """
    if wanted.ground is None and not wanted.pictures:
        return None
    inside = user_mask if user_mask.any() else hole
    layer: Floats = np.zeros((*hole.shape, 4), np.float32)
    if wanted.ground is not None:
        layer = _backdrop(wanted.ground, region())
    x0, y0, x1, y1 = bounding_box(hole | inside)
    part = (slice(y0, y1), slice(x0, x1))
    if wanted.pictures:
        layer[part] = _with_things(layer[part], wanted, inside[part], hole)
    layer[part] *= hole[part][..., None]
    return layer


def _backdrop(ground: Ground, region: Region) -> Floats:
    """(H, W, 4): the ground under the horizon and in the light of what is known around the hole, if anything is.

    It is drawn for a square around the region, so that it does not depend on the region's shape.
    """
    height, width = region.hole.shape
    side = max(height, width)
    top, left = (side - height) // 2, (side - width) // 2
    setting = setting_of(region.small, region.small_hole)
    seen = setting.horizon if setting is not None else None
    horizon = None if seen is None else (top + seen * height) / side
    drawn = draw_ground(ground, side, setting, horizon)[top : top + height, left : left + width]
    return backdrop_layer(drawn, region.hole, seen if ground.name in backgrounds.UNDER_OPEN_SKY else None)


def _with_things(layer: Floats, wanted: Wish, inside: Bools, hole: Bools) -> Floats:
    """The part of a layer (h, w, 4) that `inside` covers, with the pictures in it."""
    stance = backgrounds.BACKGROUNDS[wanted.ground.name][1] if wanted.ground is not None else "air"
    groups = [Group(wanted.pictures, wanted.poses, inside, stance)]
    if wanted.ground is not None and hole.mean() > SCENE_FROM:
        if stance == "ground":
            groups = staged(wanted.pictures, wanted.poses, wanted.hangs, inside)
        else:
            poses = [pose.standing_in(SCENE_SHARE, floats=stance == "air") for pose in wanted.poses]
            groups = [Group(wanted.pictures, poses, inside, stance)]
    things = in_light(placed(groups), wanted.light)
    if hole.all():  # no network will see this: its shadow is drawn
        layer = layer.copy()
        layer[..., :3] *= 1 - shadows(groups, max(hole.shape))[..., None]
    return things + layer * (1 - things[..., 3:])


def condition(
    region: Region, around: Around | None, pixels: Floats, wanted: Wish, layer: Floats | None
) -> NanoConditioning:
    """What the network sees of a region (H, W, 3) in [0, 1], and what its answer is composed from.

    The pictures are placed at the request's size, so they come out as sharp as they are.

    Args:
        around: None where what stands in the hole is the one guess, under the pictures.
        layer: what is wanted, drawn (`reference_layer`).
    """
    hole, small_hole = region.hole, region.small_hole
    size = small_hole.shape
    small_layer = None if layer is None else shrunk(layer, size) * small_hole[..., None]
    if around is None:
        kept = np.where(small_hole[..., None], shrunk(pixels.astype(np.float32), size), region.small)
        guesses, small_guesses, costs = stack((pixels,) * 3), stack((kept,) * 3), (0.0, 0.0)
    else:
        guesses, small_guesses, costs = around.stacked, around.small_stacked, around.costs
    reference = torch.zeros(1, 4, *size) if small_layer is None else planes(small_layer)
    frame = Condition(
        _under(small_layer, small_guesses, small_hole),
        planes(small_hole[..., None].astype(np.float32)),
        reference,
        torch.tensor([costs], dtype=torch.float32),
    )
    full = _under(layer, guesses, hole)
    settled = bool(hole.all()) and around is not None
    return NanoConditioning(frame, full, planes(hole[..., None].astype(np.float32)), wanted.words, settled)


def _under(layer: Floats | None, guesses: Tensor, hole: Bools) -> Tensor:
    """(1, 3, 3, H, W) guesses with a layer (H, W, 4), which is nothing outside the hole, laid over each of them."""
    if layer is None:
        return guesses
    x0, y0, x1, y1 = bounding_box(hole)
    laid = guesses.clone()
    over = planes(layer[y0:y1, x0:x1])
    part = laid[..., y0:y1, x0:x1]
    part.mul_(1 - over[:, None, 3:]).add_(over[:, None, :3])
    return laid


def understand(retriever: Retriever, prompt: str, has_references: bool) -> Understood:
    """What the prompt asks for; with references it may be anything, since they say what to draw.

    Raises:
        UnknownPrompt: nothing in it is known and there are no references.
    """
    if has_references:
        return Understood((), None, None, None)
    return retriever.understand(prompt)
