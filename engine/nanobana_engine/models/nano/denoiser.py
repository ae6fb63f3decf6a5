"""The network over the steps of many edits: what an edit's constant inputs become in the first layer is kept."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any
from weakref import WeakKeyDictionary

import torch
import torch.nn.functional as F
from torch import Tensor

from nanobana_engine.models.nano.codec import LATENT_CHANNELS
from nanobana_engine.models.nano.network import SHARPNESS, Condition, Mixture, read_output


class Denoiser:
    """A trained UNet that shares its layers with the one it is given; called from one thread.

    Of the first layer's 274 input channels 48 are noise, the others are the same at every step of an edit: a layer is
    linear, so their share of its output is computed at the edit's first step and added at every other.

    Args:
        keeps: False runs all of the network at every step, as diffusers does.
    """

    def __init__(self, unet: Any, *, keeps: bool = True) -> None:
        self._whole = None if keeps else unet
        self._first = unet.conv_in
        self._unet = copy.copy(unet)
        self._unet._modules = {**unet._modules, "conv_in": _FirstLayer(unet.conv_in)}
        self._constant: WeakKeyDictionary[Condition, Tensor] = WeakKeyDictionary()

    def mixtures(
        self, noisy: Tensor, levels: Tensor, conditions: Sequence[Condition], words: Tensor
    ) -> Sequence[Mixture]:
        """One answer for each item, on the CPU.

        Args:
            noisy: (B, 48, h, w) patches at each item's noise level (B,) in [0, 1].
            conditions: one for each item, (1, …) each; kept by identity for as long as they live.
            words: (B, L, TEXT_WIDTH).
        """
        if self._whole is None:
            unet, constant = self._unet, torch.cat([self._share_of(condition) for condition in conditions])
        else:
            unet, constant = self._whole, torch.cat([condition.tokens() for condition in conditions])
        constant = constant.to(self._first.weight, memory_format=torch.channels_last)
        noisy = noisy.to(constant, memory_format=torch.channels_last)
        output = unet(torch.cat([noisy, constant], 1), levels.to(noisy) * 1000, words, return_dict=False)[0]
        return [read_output(one, SHARPNESS) for one in output.cpu().split(1)]

    def _share_of(self, condition: Condition) -> Tensor:
        """(1, C, h, w): the first layer's output for the constant inputs alone, with its bias."""
        kept = self._constant.get(condition)
        if kept is None or kept.device != self._first.weight.device:
            tokens = condition.tokens().to(self._first.weight, memory_format=torch.channels_last)
            kept = F.conv2d(tokens, self._first.weight[:, LATENT_CHANNELS:], self._first.bias, padding=1)
            self._constant[condition] = kept
        return kept


class _FirstLayer(torch.nn.Module):
    """Takes the noisy patches and, behind them, what `Denoiser` kept: (B, 48 + C, h, w) → (B, C, h, w)."""

    def __init__(self, whole: torch.nn.Conv2d) -> None:
        super().__init__()
        self.whole = whole

    def forward(self, inputs: Tensor) -> Tensor:
        noisy, constant = inputs[:, :LATENT_CHANNELS], inputs[:, LATENT_CHANNELS:]
        return F.conv2d(noisy, self.whole.weight[:, :LATENT_CHANNELS], padding=1) + constant
