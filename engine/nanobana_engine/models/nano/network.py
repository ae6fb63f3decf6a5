"""The network of nano: a UNet that mixes, per pixel, three guesses from the surroundings with a picture of its own."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from diffusers import UNet2DConditionModel
from torch import Tensor

from nanobana_engine.models.nano.codec import LATENT_CHANNELS, NATIVE, PATCH, patchify, to_model, to_pixels, unpatchify

GUESSES = 3
PIXELS = PATCH * PATCH
GATE_PRIOR = (-1.0, 4.0, 0.0, -2.0)
"""Added to the gates' logits (three guesses, own picture): without a reason against it, the likelier copy is right."""
SHARPNESS = 2.5
"""Multiplies the gates' logits once trained: mixed grain is weaker grain. Set by held-out figures, see docs/nano.md."""
MOST_GRAIN = 2.5
"""Fine detail of a mixture is scaled up by this at the most."""
NO_LIGHT = 0.1
"""Changes of light up to this are none: a hole must not darken as a whole, and shadows are far stronger."""
TEXT_WIDTH = 128
OUT_CHANNELS = LATENT_CHANNELS + (GUESSES + 1) * PIXELS + 3
"""A picture of its own (48), gate logits of guesses and picture for each pixel (64), a light gain per patch (3)."""
IN_CHANNELS = LATENT_CHANNELS * (1 + GUESSES) + 5 * PIXELS + 2
"""Noisy patches (48), guesses (144), hole (16), reference RGBA (64), how badly each copy fits (2)."""


def make_unet() -> UNet2DConditionModel:
    """The UNet with fresh weights; its last layer starts at zero, so it starts as the mean of the guesses."""
    unet = UNet2DConditionModel(
        sample_size=NATIVE // PATCH,
        in_channels=IN_CHANNELS,
        out_channels=OUT_CHANNELS,
        block_out_channels=(96, 128, 192),
        down_block_types=("DownBlock2D", "DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D", "UpBlock2D"),
        layers_per_block=1,
        cross_attention_dim=TEXT_WIDTH,
        attention_head_dim=32,
        norm_num_groups=16,
        flip_sin_to_cos=True,
    )
    torch.nn.init.zeros_(unet.conv_out.weight)
    torch.nn.init.zeros_(unet.conv_out.bias)
    return unet


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Condition:
    """What the network sees besides the noisy patches and the words; all colours in [0, 1]."""

    guesses: Tensor
    """(B, 3, 3, H, W): each guess, equal to the known picture outside the hole."""
    hole: Tensor
    """(B, 1, H, W): 1 where it must be filled."""
    reference: Tensor
    """(B, 4, H, W): premultiplied RGBA of what was retrieved."""
    costs: Tensor
    """(B, 2): how badly each copy fits the surroundings, 0 … 1."""

    def tokens(self) -> Tensor:
        """(B, IN_CHANNELS − 48, H/4, W/4): the network's constant inputs."""
        batch, count, _, height, width = self.guesses.shape
        planes = torch.cat(
            [to_model(self.guesses.reshape(batch, count * 3, height, width)), self.hole, self.reference], 1
        )
        costs = self.costs[:, :, None, None].expand(batch, 2, height // PATCH, width // PATCH)
        return torch.cat([patchify(planes), costs], 1)


@dataclass(frozen=True, slots=True)
class Mixture:
    """The network's answer, good at any resolution: it says how to mix the guesses, not only what to draw."""

    own: Tensor
    """(B, 3, H, W): its own picture, colours around [0, 1]."""
    gates: Tensor
    """(B, 4, H, W): shares of the three guesses and of its own picture; they sum to 1."""
    gain: Tensor
    """(B, 3, H/4, W/4): light on the guesses, 1 unchanged: shadows and tints."""

    def compose(self, guesses: Tensor, *, keeps_grain: bool = False) -> Tensor:
        """(B, 3, H, W) colours from guesses (B, 3, 3, H, W) of this or a larger size.

        With `keeps_grain` what is mixed from several guesses is as rough as they are (`_as_rough`).
        """
        size = guesses.shape[-2:]
        own, gates = self.own, self.gates
        if own.shape[-2:] != size:
            own = F.interpolate(own, size, mode="bicubic", align_corners=False)
            gates = F.interpolate(gates, size, mode="bilinear", align_corners=False)
        gain = F.interpolate(self.gain, size, mode="bilinear", align_corners=False)
        mixed = (guesses * gates[:, :GUESSES, None]).sum(1)
        if keeps_grain:
            mixed = _as_rough(mixed, guesses, gates[:, :GUESSES])
        return mixed * gain + own * gates[:, GUESSES:]


def _as_rough(mixed: Tensor, guesses: Tensor, shares: Tensor) -> Tensor:
    """`mixed` (B, 3, H, W) with the fine detail of the guesses (B, 3, 3, H, W) that it is the mean of by `shares`.

    The mean of independent grain with variances e_i has the variance sum(w_i^2 e_i), less than the sum(w_i e_i) that
    the eye expects: the detail is scaled by the root of their ratio, as in variance-preserving blending (Heitz and
    Neyret 2018, "High-Performance By-Example Noise using a Histogram-Preserving Blending Operator"), with energies
    read locally instead of for a whole texture. Guesses that agree are left alone: their ratio is 1.
    """
    whole = shares.sum(1, keepdim=True).clamp_min(1e-3)
    wanted = (_energy(guesses.mean(2)) * shares / whole).sum(1, keepdim=True)
    fine = _detail(mixed)
    has = _energy(mixed.mean(1, keepdim=True) / whole)
    more = (wanted / has.clamp_min(1e-6)).sqrt().clamp(1.0, MOST_GRAIN)
    return mixed + fine * (more - 1)


def _detail(planes: Tensor) -> Tensor:
    """(B, C, H, W) less its 5-pixel mean."""
    return planes - _mean(planes, 2)


def _energy(planes: Tensor) -> Tensor:
    """(B, C, H, W): mean square of the detail of each plane, over 9 pixels."""
    return _mean(_detail(planes) ** 2, 4)


def _mean(planes: Tensor, radius: int) -> Tensor:
    """(B, C, H, W): over a square of 2 · radius + 1 pixels, down and then across."""
    side = 2 * radius + 1
    padded = F.pad(planes, (radius, radius, radius, radius), mode="replicate")
    return F.avg_pool2d(F.avg_pool2d(padded, (side, 1), 1), (1, side), 1)


def read_output(output: Tensor, sharpness: float = 1.0) -> Mixture:
    """(B, OUT_CHANNELS, h, w) of the UNet → the mixture it stands for."""
    own, gates, gain = output.split([LATENT_CHANNELS, (GUESSES + 1) * PIXELS, 3], 1)
    prior = torch.tensor(GATE_PRIOR, dtype=gates.dtype, device=gates.device)[:, None, None]
    return Mixture(
        unpatchify(own) * 0.5 + 0.5,
        ((unpatchify(gates) + prior) * sharpness).softmax(1),
        1 + F.softshrink(torch.tanh(gain), NO_LIGHT),
    )


def predict(
    unet: Any,
    noisy: Tensor,
    timesteps: Tensor,
    condition: Condition,
    words: Tensor,
    sharpness: float = 1.0,
    *,
    keeps_grain: bool = False,
) -> tuple[Tensor, Mixture]:
    """The clean patches (B, 48, h, w) that the network sees in `noisy` at each item's timestep (B,) in [0, 1].

    Outside the hole the answer is the known picture. `words` is (B, L, TEXT_WIDTH).
    """
    output = unet(torch.cat([noisy, condition.tokens()], 1), timesteps * 1000, words, return_dict=False)[0]
    mixture = read_output(output, sharpness)
    drawn = mixture.compose(condition.guesses, keeps_grain=keeps_grain)
    known = condition.guesses[:, 0]
    clean = torch.where(condition.hole > 0.5, drawn, known)
    return patchify(to_model(clean)), mixture


def sample(unet: Any, noise: Tensor, condition: Condition, words: Tensor, steps: int = 4) -> tuple[Tensor, Mixture]:
    """Euler steps of flow matching from noise (B, 48, h, w): colours (B, 3, H, W) in [0, 1] and the last mixture."""
    state, mixture = noise, None
    for now, then in itertools.pairwise(torch.linspace(1, 0, steps + 1)):
        clean, mixture = predict(unet, state, now.expand(len(state)), condition, words, SHARPNESS)
        state = clean + (state - clean) * (then / now)
    if mixture is None:
        raise ValueError("at least one step")
    return to_pixels(unpatchify(state)), mixture
