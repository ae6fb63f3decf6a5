"""Held-out figures of a network while it trains: its error against the guesses alone, and a sheet to look at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from nanobana_engine.assets.pack import AssetPack
from nanobana_engine.models.nano.batch import Batch, collate
from nanobana_engine.models.nano.codec import LATENT_CHANNELS, PATCH
from nanobana_engine.models.nano.data import Scene, SceneMaker
from nanobana_engine.models.nano.losses import grain_ratio, hole_error
from nanobana_engine.models.nano.network import sample
from nanobana_engine.models.nano.text import encode, token_ids


@dataclass(frozen=True, slots=True)
class Figures:
    """Mean squared errors in the hole, [0, 1] colours, over held-out scenes; ratios are to the smooth prefill's."""

    network: float
    prefill: float
    best_guess: float
    """Of the three guesses the best for each scene, chosen with the truth in hand."""
    ratio: float
    structured_ratio: float
    photo_ratio: float
    grain: float
    """Median energy of fine detail over the truth's."""

    def row(self) -> dict[str, float]:
        return {key: round(value, 6) for key, value in asdict(self).items()}


class HeldOut:
    """A fixed set of scenes with pictures, photographs and seeds that training never sees."""

    def __init__(self, pack: AssetPack, size: int, count: int = 64) -> None:
        maker = SceneMaker(pack, size, held_out=True)
        self.scenes: Sequence[Scene] = [maker.scene(np.random.default_rng((7, 9_000_000 + i))) for i in range(count)]
        self.batch: Batch = collate(self.scenes)

    @torch.no_grad()
    def fill(self, unet: Any, text_encoder: Any, tokenizer: Any, steps: int = 4) -> torch.Tensor:
        """(N, 3, H, W): every hole filled by the full sampler, noise fixed."""
        batch = self.batch
        generator = torch.Generator().manual_seed(11)
        side = batch.truth.shape[-1] // PATCH
        noise = torch.randn(len(self.scenes), LATENT_CHANNELS, side, side, generator=generator)
        words = encode(text_encoder, token_ids(tokenizer, batch.prompts))
        parts = [
            sample(unet, noise[i : i + 8], _part(batch.condition, i, i + 8), words[i : i + 8], steps)[0]
            for i in range(0, len(self.scenes), 8)
        ]
        return torch.cat(parts)

    def figures(self, filled: torch.Tensor) -> Figures:
        """Compares fills with the truth."""
        batch, hole = self.batch, self.batch.condition.hole
        network = hole_error(filled, batch.truth, hole)
        guesses = torch.stack([hole_error(batch.condition.guesses[:, i], batch.truth, hole) for i in range(3)])
        structured = torch.tensor([s.structured for s in self.scenes])
        photo = torch.tensor([s.kind == "photo" for s in self.scenes])

        def ratio(chosen: torch.Tensor) -> float:
            return float(network[chosen].mean() / guesses[0][chosen].mean().clamp_min(1e-9)) if chosen.any() else 0.0

        return Figures(
            network=float(network.mean()),
            prefill=float(guesses[0].mean()),
            best_guess=float(guesses.min(0).values.mean()),
            ratio=ratio(torch.ones_like(photo)),
            structured_ratio=ratio(structured),
            photo_ratio=ratio(photo),
            grain=float(grain_ratio(filled, batch.truth, hole).median()),
        )

    def sheet(self, filled: torch.Tensor, path: Path, columns: int = 16) -> None:
        """Writes rows of hole, smooth guess, first copy, result, truth."""
        batch = self.batch
        hole = batch.condition.hole
        rows = [
            batch.truth * (1 - hole),
            batch.condition.guesses[:, 0],
            batch.condition.guesses[:, 1],
            filled,
            batch.truth,
        ]
        strips = []
        for start in range(0, len(self.scenes), columns):
            strips += [torch.cat(list(row[start : start + columns]), -1) for row in rows if start < len(row)]
        pixels = torch.cat([s for s in strips if s.shape[-1] == strips[0].shape[-1]], 1).clamp(0, 1)
        Image.fromarray((pixels.permute(1, 2, 0).numpy() * 255).round().astype(np.uint8)).save(path)


def _part(condition: Any, begin: int, end: int) -> Any:
    fields = ("guesses", "hole", "reference", "costs")
    return type(condition)(**{name: getattr(condition, name)[begin:end] for name in fields})
