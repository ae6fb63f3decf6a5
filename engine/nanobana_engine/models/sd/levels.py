"""Noise levels of variance-preserving diffusion in the engine's terms, and the samplers that step through them.

Such a model knows z = a x0 + s noise with a² + s² = 1, at a timestep t of a table of a² (`alphas_cumprod`). Divided by
a + s this is the engine's x = (1 - sigma) x0 + sigma noise with sigma = s / (a + s). With k = s / a (the noise level
of Karras et al. 2022, and of diffusers' Euler schedulers):

    sigma = k / (1 + k)      k = sigma / (1 - sigma)      a = 1 / sqrt(1 + k²)      s = k / sqrt(1 + k²)
    z = x (1 + k) / sqrt(1 + k²)

In these terms the deterministic DDIM step and Euler's step on the probability flow are one and the same:
x' = x0 + (sigma' / sigma) (x - x0).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
from diffusers import DPMSolverMultistepScheduler, EulerDiscreteScheduler, LCMScheduler
from torch import Tensor

from nanobana.protocol.errors import BadInput
from nanobana_engine.models.base import Move, Preset

Sampler: TypeAlias = Literal["euler", "trailing", "dpm++", "lcm"]
"""euler: at the folder's own timesteps; trailing: Euler from the last timestep on, for Lightning, Hyper and their like;
dpm++: second order, 2M; lcm: for latent consistency models and LoRAs."""

SAMPLERS: tuple[Sampler, ...] = get_args(Sampler)
PLAIN = {"use_karras_sigmas": False, "use_exponential_sigmas": False, "use_beta_sigmas": False}
"""Levels lie at the table's own timesteps, or between two of them on a straight line."""
SIGMA_DATA = 0.5
"""Of consistency models: deviation of the data in their boundary condition."""

FEW = {"draft": 4, "balanced": 6, "best": 8}
"""Steps by quality of models that were distilled to few."""


def suited(preset: Preset, scheduler: Any) -> Preset:
    """The preset with a sampler, where it names none: the one that the folder's own scheduler means.

    A folder whose scheduler is LCM's, or begins at the last timestep, was distilled to few steps: they are few then,
    and guidance is as such models take it.
    """
    if preset.sampler:
        return preset
    if type(scheduler).__name__ == "LCMScheduler":
        return replace(preset, sampler="lcm", steps=FEW, guidance=1.5)
    if scheduler.config.get("timestep_spacing") == "trailing":
        return replace(preset, sampler="trailing", steps=FEW, guidance=1.0)
    return replace(preset, sampler="dpm++")


class Levels:
    """The table of one model, and one sampler.

    Args:
        config: of the folder's scheduler.
        sampler: one of SAMPLERS.

    Raises:
        BadInput: ``bad_presets``: there is no such sampler.
    """

    def __init__(self, config: Mapping[str, Any], sampler: str) -> None:
        if sampler not in SAMPLERS:
            raise BadInput(f"There is no sampler {sampler!r}; there are {', '.join(SAMPLERS)}.", code="bad_presets")
        self.sampler = sampler
        self._scheduler = _scheduler(config, self.sampler)
        self.prediction = str(self._scheduler.config.prediction_type)
        kept = self._scheduler.alphas_cumprod.double().numpy()
        self._table = np.sqrt((1.0 - kept) / kept)

    def sigmas(self, steps: int, skip: int = 0) -> list[float]:
        """The levels of a run of `steps` without its first `skip`: steps - skip + 1 values, the last 0."""
        scheduler = self._scheduler
        scheduler.set_timesteps(steps)
        if self.sampler == "lcm":
            levels = [*self._table[scheduler.timesteps.numpy()], 0.0]
        else:
            levels = scheduler.sigmas.double().tolist()
        return [float(k / (1.0 + k)) for k in levels[skip:]]

    @property
    def most(self) -> int:
        """Steps of a run at the most."""
        config = self._scheduler.config
        return int(config.original_inference_steps if self.sampler == "lcm" else config.num_train_timesteps)

    def timestep(self, sigma: float) -> float:
        """Where a level stands in the model's table; between two entries for a level between theirs."""
        return float(np.interp(_k(sigma), self._table, np.arange(len(self._table))))

    def pure(self, noise: Tensor, sigma: float) -> Tensor:
        """Where a picture begins that nothing is known of, as diffusers' schedulers scale it."""
        k = _k(sigma)
        spread = k if self._scheduler_starts_at_k() else math.sqrt(1.0 + k * k)
        return noise * (spread / (1.0 + k))

    def inner(self, x: Tensor, sigma: float) -> Tensor:
        """z: what the network is shown."""
        k = _k(sigma)
        return x * ((1.0 + k) / math.sqrt(1.0 + k * k))

    def clean(self, x: Tensor, output: Tensor, sigma: float) -> Tensor:
        """x0 out of what the network answers: noise, velocity (v = a noise - s x0), or x0 itself."""
        k = _k(sigma)
        if self.prediction == "sample":
            return output
        if self.prediction == "v_prediction":
            return x * ((1.0 + k) / (1.0 + k * k)) - output * (k / math.sqrt(1.0 + k * k))
        return x * (1.0 + k) - output * k

    def step(self, move: Move) -> Tensor:
        """To the next level."""
        if self.sampler == "lcm":
            return self._consistent(move)
        aim = self._ahead(move) if self.sampler == "dpm++" else move.clean
        return aim + (move.after / move.sigma) * (move.latents - aim)

    def _ahead(self, move: Move) -> Tensor:
        """The x0 that second order steps towards (DPM-Solver++ 2M, Lu et al. 2022): with lambda = -log k, h the step in
        lambda and r = h_last / h, it is x0 + (x0 - x0_last) / (2 r)."""
        if move.last is None or move.after == 0.0:
            return move.clean
        before, clean = move.last
        h = math.log(_k(move.sigma) / _k(move.after))
        h_last = math.log(_k(before) / _k(move.sigma))
        return move.clean + (h / (2.0 * h_last)) * (move.clean - clean)

    def _consistent(self, move: Move) -> Tensor:
        """Straight to x0, blended with z near t = 0 by the boundary condition, and back to the level with new noise."""
        t = self.timestep(move.sigma) * float(self._scheduler.config.timestep_scaling)
        width = t * t + SIGMA_DATA**2
        denoised = move.clean * (t / math.sqrt(width)) + self.inner(move.latents, move.sigma) * (SIGMA_DATA**2 / width)
        if move.after == 0.0:
            return denoised
        return (1.0 - move.after) * denoised + move.after * move.fresh()

    def _scheduler_starts_at_k(self) -> bool:
        """Euler's begin at k times noise where their first level is the table's last, else like the others."""
        return self.sampler in ("euler", "trailing") and self._scheduler.config.timestep_spacing != "leading"


def _scheduler(config: Mapping[str, Any], sampler: Sampler) -> Any:
    """The scheduler of diffusers that knows the timesteps; its stateful `step` is not used."""
    if sampler == "lcm":
        return LCMScheduler.from_config(dict(config))
    if sampler == "dpm++":
        return DPMSolverMultistepScheduler.from_config(
            dict(config), algorithm_type="dpmsolver++", solver_order=2, final_sigmas_type="zero", **PLAIN
        )
    more = {"timestep_spacing": "trailing"} if sampler == "trailing" else {}
    return EulerDiscreteScheduler.from_config(dict(config), final_sigmas_type="zero", **PLAIN, **more)


def _k(sigma: float) -> float:
    return sigma / (1.0 - sigma)
