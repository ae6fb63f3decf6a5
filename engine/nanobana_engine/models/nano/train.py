"""Trains nano on one core, resumably: `python -m nanobana_engine.models.nano.train --schedule ship`."""

from __future__ import annotations

import argparse
import copy
import csv
import math
import os
import signal
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from nanobana_engine.assets.pack import AssetPack
from nanobana_engine.models.nano.batch import collate, drop_guesses
from nanobana_engine.models.nano.codec import patchify, to_model, unpatchify
from nanobana_engine.models.nano.data import SceneMaker
from nanobana_engine.models.nano.evaluate import HeldOut
from nanobana_engine.models.nano.folder import WEIGHTS, load, save
from nanobana_engine.models.nano.losses import loss
from nanobana_engine.models.nano.network import make_unet, predict
from nanobana_engine.models.nano.text import encode, make_text_encoder, make_tokenizer, token_ids


@dataclass(frozen=True, slots=True)
class Phase:
    """A stretch of training at one frame size; the learning rate falls from `rate` to `last_rate` by a cosine."""

    size: int
    steps: int
    batch: int
    rate: float
    last_rate: float


SCHEDULES: dict[str, tuple[Phase, ...]] = {
    "ship": (Phase(64, 1600, 16, 1e-3, 4e-4), Phase(128, 1500, 8, 7e-4, 1e-5)),
    "polish": (Phase(128, 3000, 8, 3e-4, 1e-5),),
    "check": (Phase(64, 300, 8, 1.2e-3, 1e-4),),
}
"""`ship` makes the weights that ship; `polish` goes on from a folder (`--start`); `check` is a few minutes for CI."""

WARM_UP = 60
EMA = 0.998
CHECKPOINT_EVERY = 240.0
"""Seconds: what a kill at any moment loses at the most."""


def phase_at(phases: Sequence[Phase], step: int) -> tuple[Phase, int, float] | None:
    """The phase that a step belongs to, how many of its steps are done, and the learning rate; None when finished."""
    for phase in phases:
        if step < phase.steps:
            fall = 0.5 + 0.5 * math.cos(math.pi * step / phase.steps)
            rate = phase.last_rate + (phase.rate - phase.last_rate) * fall
            return phase, step, rate * min(1.0, (step + 1) / WARM_UP)
        step -= phase.steps
    return None


class Trainer:
    """Weights, their running mean, the optimiser, and how far they have come."""

    def __init__(self, pack: AssetPack, seed: int) -> None:
        torch.manual_seed(seed)
        self.pack, self.seed = pack, seed
        self.tokenizer = make_tokenizer()
        self.unet: Any = make_unet().to(memory_format=torch.channels_last)
        self.text: Any = make_text_encoder()
        self.mean_unet, self.mean_text = copy.deepcopy(self.unet).eval(), copy.deepcopy(self.text).eval()
        self.step, self.samples, self.minutes = 0, 0, 0.0
        self._makers: dict[int, SceneMaker] = {}
        self._new_optimiser()

    def _new_optimiser(self) -> None:
        parameters = [*self.unet.parameters(), *self.text.parameters()]
        self.optimiser = torch.optim.AdamW(parameters, lr=1e-3, betas=(0.9, 0.98), weight_decay=0.01)

    def maker(self, size: int) -> SceneMaker:
        if size not in self._makers:
            self._makers = {size: SceneMaker(self.pack, size)}
        return self._makers[size]

    def train_step(self, phase: Phase, rate: float) -> float:
        """One optimiser step on fresh scenes; the loss."""
        rng = np.random.default_rng((self.seed, self.step))
        maker = self.maker(phase.size)
        batch = collate([maker.scene(rng) for _ in range(phase.batch)])
        condition = drop_guesses(batch.condition, rng)
        level = np.where(rng.random(phase.batch) < 0.35, 1.0, rng.uniform(0.08, 0.95, phase.batch))
        times = torch.tensor(level, dtype=torch.float32)
        clean = patchify(to_model(batch.truth))
        noise = torch.from_numpy(rng.standard_normal(clean.shape, dtype=np.float32))
        noisy = clean + (noise - clean) * times[:, None, None, None]
        words = encode(self.text, token_ids(self.tokenizer, batch.prompts))
        guessed, _ = predict(self.unet, noisy.contiguous(memory_format=torch.channels_last), times, condition, words)
        value = loss(unpatchify(guessed) * 0.5 + 0.5, batch.truth, condition.hole, batch.weight)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        self.optimiser.zero_grad(set_to_none=True)
        value.backward()
        torch.nn.utils.clip_grad_norm_([p for g in self.optimiser.param_groups for p in g["params"]], 1.0)
        self.optimiser.step()
        self.step += 1
        self.samples += phase.batch
        self._follow(min(EMA, (1 + self.step) / (20 + self.step)))
        return float(value.detach())

    @torch.no_grad()
    def _follow(self, decay: float) -> None:
        for mean, fresh in ((self.mean_unet, self.unet), (self.mean_text, self.text)):
            torch._foreach_lerp_(list(mean.parameters()), list(fresh.parameters()), 1 - decay)

    def save(self, path: Path) -> None:
        """Writes the checkpoint beside itself and then in place, so that a kill never leaves half of one."""
        state = {
            "unet": self.unet.state_dict(),
            "text": self.text.state_dict(),
            "mean_unet": self.mean_unet.state_dict(),
            "mean_text": self.mean_text.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "progress": (self.step, self.samples, self.minutes, self.seed),
        }
        torch.save(state, path.with_suffix(".partial"))
        path.with_suffix(".partial").replace(path)

    def restore(self, path: Path) -> None:
        """Goes on from a checkpoint; a missing optimiser state starts anew."""
        state = torch.load(path, map_location="cpu", weights_only=True)
        for name in ("unet", "text", "mean_unet", "mean_text"):
            getattr(self, name).load_state_dict(state[name])
        self.optimiser.load_state_dict(state["optimiser"])
        self.step, self.samples, self.minutes, self.seed = state["progress"]

    def begin_from(self, folder: Path) -> None:
        """Takes the weights of an exported folder; optimiser and steps begin anew."""
        parts = load(folder)
        for network, trained in ((self.unet, parts.unet), (self.text, parts.text_encoder)):
            network.load_state_dict(trained.state_dict())
        self.mean_unet.load_state_dict(self.unet.state_dict())
        self.mean_text.load_state_dict(self.text.state_dict())

    def facts(self) -> dict[str, Any]:
        return {"step": self.step, "samples": self.samples, "seed": self.seed, "minutes": round(self.minutes, 1)}

    def export(self, folder: Path) -> None:
        """Writes the running mean in fp16 as a diffusers folder."""
        save(folder, self.mean_unet, self.mean_text, self.facts())


def _stop_signal() -> threading.Event:
    """Set when the process is asked to end, so that it saves first."""
    stop = threading.Event()
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, lambda *_: stop.set())
    return stop


def _log(path: Path, row: dict[str, Any]) -> None:
    fresh = not path.exists()
    with path.open("a", newline="") as out:
        writer = csv.DictWriter(out, list(row))
        if fresh:
            writer.writeheader()
        writer.writerow(row)


def train(
    work: Path,
    schedule: str,
    seed: int = 1,
    eval_every: int = 200,
    export_to: Path | None = None,
    start: Path | None = None,
) -> Trainer:
    """Runs a schedule to its end, or to SIGTERM, in the folder `work`, going on where an earlier run stopped."""
    work.mkdir(parents=True, exist_ok=True)
    phases = SCHEDULES[schedule]
    trainer = Trainer(AssetPack(), seed)
    checkpoint = work / "checkpoint.pt"
    if checkpoint.exists():
        trainer.restore(checkpoint)
        print("resumed", trainer.facts(), flush=True)
    elif start is not None:
        trainer.begin_from(start)
    held_out: dict[int, HeldOut] = {}
    saved, losses = time.monotonic(), []
    stop = _stop_signal()
    while (now := phase_at(phases, trainer.step)) is not None:
        phase, _, rate = now
        started = time.monotonic()
        losses.append(trainer.train_step(phase, rate))
        trainer.minutes += (time.monotonic() - started) / 60
        if trainer.step % eval_every == 0 or phase_at(phases, trainer.step) is None:
            if phase.size not in held_out:
                held_out = {phase.size: HeldOut(trainer.pack, phase.size)}
            judge = held_out[phase.size]
            filled = judge.fill(trainer.mean_unet, trainer.mean_text, trainer.tokenizer)
            row = {
                **trainer.facts(),
                "size": phase.size,
                "rate": round(rate, 7),
                "loss": round(float(np.mean(losses)), 5),
            }
            row |= judge.figures(filled).row()
            judge.sheet(filled, work / "sheet.png")
            _log(work / "training.csv", row)
            print(row, flush=True)
            losses = []
        if stop.is_set() or time.monotonic() - saved > CHECKPOINT_EVERY:
            trainer.save(checkpoint)
            saved = time.monotonic()
            if stop.is_set():
                return trainer
    trainer.save(checkpoint)
    if export_to is not None:
        trainer.export(export_to)
    return trainer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--schedule", choices=sorted(SCHEDULES), default="ship")
    parser.add_argument("--work", type=Path, default=Path(".nano-training"), help="checkpoints, figures, sheets")
    parser.add_argument("--export", type=Path, default=WEIGHTS, help="where the trained folder goes at the end")
    parser.add_argument("--start", type=Path, help="begin from the weights in this exported folder")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=int(os.environ.get("OMP_NUM_THREADS", "1")))
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    trainer = train(args.work, args.schedule, args.seed, export_to=args.export, start=args.start)
    print("finished", trainer.facts())


if __name__ == "__main__":
    main()
