"""Trains nano a few minutes; fails unless it beats the prefill: `python -m nanobana_engine.models.nano.check`."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import torch

from nanobana_engine.models.nano.evaluate import HeldOut
from nanobana_engine.models.nano.network import make_unet
from nanobana_engine.models.nano.train import train

MOST_OF_PREFILL = 0.85
"""Share of the smooth prefill's error that is still too much, after the `check` schedule."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    with tempfile.TemporaryDirectory() as work:
        trainer = train(Path(work), "check", eval_every=10_000)
    held_out = HeldOut(trainer.pack, 64, 48)
    figures = held_out.figures(held_out.fill(trainer.mean_unet, trainer.mean_text, trainer.tokenizer))
    before = held_out.figures(held_out.fill(make_unet().eval(), trainer.mean_text, trainer.tokenizer))
    beaten = figures.ratio < MOST_OF_PREFILL and figures.network < before.network
    verdict = "beats" if beaten else "does not beat"
    sys.stdout.write(f"untrained {before.row()}\ntrained   {figures.row()}\n")
    sys.stdout.write(f"After {trainer.minutes:.1f} min it {verdict} the prefill and its own beginning.\n")
    return 0 if beaten else 1


if __name__ == "__main__":
    sys.exit(main())
