"""The parity gate: on a small picture, how wide a halo makes a part equal the whole within a tolerance (E9).

It is measured once for each network that is loaded, against diffusers' own calls. Half of what it allows for is the
statistics, which are of the picture before the change; no halo mends that, so a network that leans on them too much
stays closed, and works on whole pictures.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nanobana_engine.models.vae.beside import Unlike
from nanobana_engine.models.vae.boxes import Bools
from nanobana_engine.models.vae.codec import (
    EXACT,
    decode_part,
    decode_whole,
    decoding,
    encode_part,
    encode_whole,
    encoding,
    is_known,
)
from nanobana_engine.models.vae.parts import finer

log = logging.getLogger(__name__)

CELLS, CHANGED = 24, slice(9, 15)
"""Side of the measured picture, and rows and columns of what changes in it, in latent cells."""
DECODE_HALOS = (2, 4, 8, EXACT)
ENCODE_HALOS = (1, 2, 3)
LEVEL = 2.0 / 255.0
"""One level of 255, of pixels in -1..1."""
MEAN_LEVELS, WORST_LEVELS = 1.0, 16.0
"""How far a decoded part may be from the same part of the whole: on average, and its worst pixel."""
MEAN_LATENTS, WORST_LATENTS = 0.06, 0.5
"""The same of encoded latents, in their own standard deviations."""
SAME = 1e-3
"""How far a pass over the whole by our walk may be from diffusers' own, in standard deviations."""


@dataclass(frozen=True, slots=True)
class Gate:
    """The halos that passed; None where none did."""

    encode: int | None = None
    decode: int | None = None


@torch.inference_mode()
def measured(vae: Any, stride: int) -> Gate:
    """Try a network; takes a second or so on a GPU, some ten seconds for a large one on a CPU."""
    if not is_known(vae):
        return Gate()
    weight = next(vae.parameters())
    first, second = (picture.to(weight) for picture in _pictures(stride))
    latents, changed = (vae.encode(each).latent_dist.mode() for each in (first, second))
    mixed = latents.clone()
    mixed[..., CHANGED, CHANGED] = changed[..., CHANGED, CHANGED]
    gate = Gate(_encodes(vae, first, second, latents, changed), _decodes(vae, latents, mixed, stride))
    log.info("parts of pictures: encoded with a halo of %s cells, decoded with one of %s", gate.encode, gate.decode)
    return gate


def _encodes(vae: Any, before: Tensor, after: Tensor, latents: Tensor, changed: Tensor) -> int | None:
    found, passed = encode_whole(vae, before)
    scale = float(latents.std())
    if not _is_near(found, latents, scale, SAME, 10 * SAME):
        return None

    def part(halo: int) -> Tensor:
        return encode_part(vae, after, latents, encoding(vae, _changed(), halo), passed)[0]

    return _first(ENCODE_HALOS, part, changed, scale, MEAN_LATENTS, WORST_LATENTS)


def _decodes(vae: Any, before: Tensor, after: Tensor, stride: int) -> int | None:
    found, passed = decode_whole(vae, before)
    if not _is_near(found, vae.decode(before).sample, float(found.std()), SAME, 10 * SAME):
        return None
    wanted = _changed()
    whole = vae.decode(after).sample[0][:, torch.from_numpy(finer(wanted, stride))].t()

    def part(halo: int) -> Tensor:
        return decode_part(vae, after, wanted, decoding(vae, wanted, halo), passed)

    return _first(DECODE_HALOS, part, whole, LEVEL, MEAN_LEVELS, WORST_LEVELS)


def _first(
    halos: tuple[int, ...], made: Callable[[int], Tensor], wanted: Tensor, unit: float, mean: float, worst: float
) -> int | None:
    try:
        passing: Iterator[int] = (halo for halo in halos if _is_near(made(halo), wanted, unit, mean, worst))
        return next(passing, None)
    except Unlike:
        return None


def _is_near(found: Tensor, wanted: Tensor, unit: float, mean: float, worst: float) -> bool:
    apart = (found.float() - wanted.float()).abs() / unit
    log.debug("parity: %.4f on average, %.4f at worst", float(apart.mean()), float(apart.max()))
    return bool(apart.mean() <= mean and apart.max() <= worst)


def _pictures(stride: int) -> tuple[Tensor, Tensor]:
    """A picture with gradients, edges and grain, and the same with gray in its middle; [1, 3, H, W] in -1..1."""
    side = CELLS * stride
    dice = np.random.default_rng(0)
    y, x = np.mgrid[0:side, 0:side][..., None] / 8.0
    waves = sum(np.sin(x * dice.uniform(0.1, 1.6, 3) + y * dice.uniform(0.1, 1.6, 3)) for _ in range(3))
    edges = 0.5 * np.sign(np.sin(x * 0.7 - y * 0.4))
    picture = np.clip(0.25 * waves + edges + dice.normal(0.0, 0.05, (side, side, 3)), -1.0, 1.0).astype(np.float32)
    first = torch.from_numpy(picture).permute(2, 0, 1)[None]
    second = first.clone()
    second[..., torch.from_numpy(finer(_changed(), stride))] = 0.0
    return first, second


def _changed() -> Bools:
    """[CELLS, CELLS]"""
    cells = np.zeros((CELLS, CELLS), np.bool_)
    cells[CHANGED, CHANGED] = True
    return cells
