"""Things in a scene: what flies or shines in its upper part, the rest on the ground, each with a shadow of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nanobana_engine.models.nano.arrays import Bools, Floats, Picture
from nanobana_engine.models.nano.backgrounds import Stance
from nanobana_engine.models.nano.data import shadow
from nanobana_engine.models.nano.layout import Pose, cells, place
from nanobana_engine.models.nano.masks import bounding_box

FLOATING = frozenset("🌑🌒🌓🌔🌕🌖🌗🌘🌙🌚🌛🌜☀🌝🌞🪐⭐🌟🌠☁⛅⛈🌤🌥🌦🌧🌨🌩☄🌈✈🛩🛫🛬🪂🚁🚟🚠🚡🛰🚀🛸🎈🎆🎇🪁🦋🐝🪰🦟🦅🦇🕊")
"""Emoji of what hangs in the air."""
SCENE_SHARE = 0.6
"""Size of things in a scene, as a share of what would fit."""
SKY, FLOOR = 0.52, 0.36
"""Where the part for what floats ends and that for what stands begins, as shares of the height, if there are both."""
SKY_SHARE, FLOOR_SHARE = 0.75, 0.85
"""The same as SCENE_SHARE in those parts."""


def floats(emoji: str) -> bool:
    """Whether a picture's thing hangs in the air."""
    return emoji[:1] in FLOATING


@dataclass(frozen=True, slots=True)
class Group:
    """Things placed together."""

    pictures: Sequence[Picture]
    poses: Sequence[Pose]
    inside: Bools
    """(H, W): where they go."""
    stance: Stance


def staged(pictures: Sequence[Picture], poses: Sequence[Pose], hangs: Sequence[bool], inside: Bools) -> list[Group]:
    """Things on the ground of a whole scene: those that hang above it, the others on it.

    Args:
        hangs: for each thing, whether it floats.
        inside: (H, W), where things may be.
    """
    standing = [n for n, up in enumerate(hangs) if not up]
    hanging = [n for n, up in enumerate(hangs) if up]
    if not hanging and len(standing) <= 3:
        return [Group(pictures, [pose.standing_in(SCENE_SHARE, floats=False) for pose in poses], inside, "ground")]
    _, top, _, bottom = bounding_box(inside)
    above, below = inside.copy(), inside.copy()
    above[top + round((SKY if standing else 0.7) * (bottom - top)) :] = False
    below[: top + round(FLOOR * (bottom - top))] = False
    sets: list[tuple[list[int], Bools, float, Stance]] = [
        (hanging, above, SKY_SHARE, "air"),
        (standing, below, FLOOR_SHARE, "ground"),
    ]
    return [
        Group(
            [pictures[n] for n in chosen],
            [poses[n].standing_in(share, floats=stance == "air") for n in chosen],
            where,
            stance,
        )
        for chosen, where, share, stance in sets
        if chosen
    ]


def placed(groups: Sequence[Group]) -> Floats:
    """(H, W, 4), premultiplied: all things, the later groups in front."""
    layer: Floats = np.zeros((*groups[0].inside.shape, 4), np.float32)
    for group in groups:
        things = place(group.pictures, group.poses, group.inside)
        layer = things + layer * (1 - things[..., 3:])
    return layer


def shadows(groups: Sequence[Group], size: int) -> Floats:
    """(H, W) darkness of the shadows that the things cast, for a frame of `size`."""
    dark: Floats = np.zeros(groups[0].inside.shape, np.float32)
    for group in groups:
        if group.stance == "air":
            continue
        alpha = place(group.pictures, group.poses, group.inside)[..., 3]
        for left, top, right, bottom in cells(bounding_box(group.inside), len(group.pictures)):
            own = np.zeros_like(alpha)
            own[top:bottom, left:right] = alpha[top:bottom, left:right]
            dark = np.maximum(dark, shadow(own, group.stance, size))
    return dark
