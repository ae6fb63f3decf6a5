"""What an edit costs that recomputes only what it changes, against diffusers' pipeline, which recomputes everything.

    python benchmarks/incremental.py [--small] [--only 5 stroke5 ...] [--steps 4]

The architecture of SD 1.5 inpainting at random weights, 512 × 512, without guidance, CPU seconds on one thread, whole
edits from planned mask to patch: VAE, UNet, colour, stitch. `speedup_N`: `StableDiffusionInpaintPipeline` over an edit
of N % of the picture in a window whose record is of what stands there; `_5_after_5`: where another edit of 5 % was made
elsewhere just before, which is computed too; `_stroke5` is a diagonal brush stroke of 5 %; `_wide_edge` the engine's
own soft edge of 52 px, which makes 5 % masked 18 % changed; elsewhere the edge is 12 px. `unet_speedup_N`: the same of
the UNets alone. `speedup_crop_5`: the pipeline with `padding_mask_crop=32` over the same. `speedup_5_cold`: the first
edit of a window, which also records (`record_cpu_s` more than the pipeline takes; `break_even_edits` of 5 % pay for
it). `split_N`: seconds by stage.

The halos of the VAE are what its gate finds; random weights need wider ones than trained networks, `_5_trained` is with
(1, 4). `_5_tiny_vae`: previews and result by an `AutoencoderTiny`; `_5_tiny_trained` with the halos (1, 4) besides.

All of it takes some five minutes. `--only`: some of 1, 5, 10, 25, stroke5, wide_edge, crop, trained and tiny, each time
with the pipeline beside them, two to three minutes. `--small`: 5 only.
"""

import argparse
import os
import time
from dataclasses import replace
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
import torch
from diffusers import AutoencoderTiny
from harness import report
from pictures import grainy_photo
from PIL import Image, ImageDraw
from sd15 import SIDE, pipeline, theirs_s, timed

from nanobana_engine.engine import EditFailed, EditFinished, Engine, Source
from nanobana_engine.engine.events import EditEvent
from nanobana_engine.memory import Memory
from nanobana_engine.models.preset import Preset
from nanobana_engine.models.sd.adapter import SdAdapter
from nanobana_engine.models.vae.gate import Gate
from nanobana_engine.models.vae.tiny import TinyVae
from support.edits import source_of

EDGE = {"feather": 8.0, "grow": 4.0}
GB = 1 << 30


def square(share: float, corner: tuple[int, int] = (190, 180)) -> np.ndarray:
    """A masked square of a share of the picture."""
    side = min(round(SIDE * share**0.5), SIDE - max(corner))
    mask = np.zeros((SIDE, SIDE), np.uint8)
    mask[corner[1] : corner[1] + side, corner[0] : corner[0] + side] = 255
    return mask


def stroke(share: float) -> np.ndarray:
    """A diagonal brush stroke of a share of the picture."""
    picture = Image.new("L", (SIDE, SIDE))
    width = round(share * SIDE**2 / (380 * 2**0.5))
    ImageDraw.Draw(picture).line((66, 446, 446, 66), fill=255, width=width)
    return np.array(picture)


class Ours:
    """The engine in this thread, one edit after another."""

    def __init__(self, made: Any, steps: int) -> None:
        preset = Preset(
            name="sd15", native=512, min_side=512, max_side=768, multiple=64, latent_stride=8, sampler="lcm",
            steps=dict.fromkeys(("draft", "balanced", "best"), steps), guidance=1.0, reuses=True,
        )  # fmt: skip
        self.adapter = SdAdapter(made, preset)
        self._events: list[EditEvent] = []
        memory = Memory(budget_bytes=24 * GB, cache_bytes=8 * GB)
        self._engine = Engine(self.adapter, self._events.append, memory=memory)
        self._photo = np.dstack([grainy_photo(SIDE), np.full((SIDE, SIDE), 255, np.uint8)])
        self._count = 0

    def edit_s(self, mask: np.ndarray, edge: dict[str, Any]) -> tuple[float, dict[str, float]]:
        """CPU seconds from planned edit to patch, and by stage."""
        self._count += 1
        source = source_of(self._photo, mask, self.adapter.preset, id=f"e{self._count}", seed=self._count, **edge)
        parts = {
            "condition": (self.adapter, "condition"),
            "unet": (self.adapter, "denoise"),
            "vae_encode": (self.adapter.coder, "encode"),
            "vae_decode": (self.adapter, "decode_part"),
            "preview": (self.adapter, "preview"),
        }
        with timed(parts) as spent:
            took = self._run(source)
        return took, {**spent, "rest": took - sum(spent.values())}

    def _run(self, source: Source) -> float:
        began = time.process_time()
        self._engine.submit(source)
        while True:
            self._engine.receive()
            self._engine.step()
            end = self._events[-1] if self._events else None
            if isinstance(end, EditFailed):
                raise AssertionError(end.message)
            if isinstance(end, EditFinished) and end.id == source.id:
                end.patches()
                return time.process_time() - began


SHARES = {"1": 0.01, "5": 0.05, "10": 0.10, "25": 0.25}
PIECES = (*SHARES, "stroke5", "wide_edge", "crop", "trained", "tiny")
TRAINED = Gate(encode=1, decode=4)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small", action="store_true", help="5 %% only")
    parser.add_argument("--only", nargs="+", choices=PIECES, default=PIECES, help="some of the figures")
    parser.add_argument("--steps", type=int, default=4)
    options = parser.parse_args()
    wanted = ("5",) if options.small else options.only
    torch.set_num_threads(1)
    made = pipeline()
    parts = {"unet": (made.unet, "forward"), "vae_encode": (made.vae, "encode"), "vae_decode": (made.vae, "decode")}
    with timed(parts) as their_split:  # before anything of ours has touched the networks
        theirs = theirs_s(made, square(0.05), options.steps)
    cropped = theirs_s(made, square(0.05), options.steps, padding_mask_crop=32) if "crop" in wanted else 0.0
    found: dict[str, Any] = {"pipeline_s": theirs, "split_pipeline": rounded(their_split)}
    ours = Ours(made, options.steps)
    gate = ours.adapter.coder.gate  # measured before anything is timed, as the first edit of a worker does
    ours.adapter.preview(torch.zeros(4, 8, 8))

    def note(name: str, mask: np.ndarray, edge: dict[str, Any], *, settled: bool = True) -> float:
        """An edit; where `settled`, after one so small that of the record hardly anything is left to compute again."""
        if settled:
            ours.edit_s(square(0.01, (191, 181)), EDGE)
        took, split = ours.edit_s(mask, edge)
        found[f"speedup_{name}"] = theirs / took
        found[f"unet_speedup_{name}"] = their_split["unet"] / split["unet"]
        found[f"split_{name}"] = rounded(split)
        return took

    cold = note("5_cold", square(0.05, (40, 60)), EDGE, settled=False)
    found["record_cpu_s"] = max(0.0, cold - theirs)
    note("5_after_5", square(0.05, (189, 180)), EDGE, settled=False)  # no mask twice: its picture would be remembered
    for name in wanted:
        if name in SHARES:
            took = note(name, square(SHARES[name]), EDGE)
            if name == "5":
                found["break_even_edits"] = found["record_cpu_s"] / (theirs - took)
    if "stroke5" in wanted:
        note("stroke5", stroke(0.05), EDGE)
    if "wide_edge" in wanted:
        note("5_wide_edge", square(0.05), {})
    if "crop" in wanted:
        found["speedup_crop_5"] = cropped / ours.edit_s(square(0.05, (188, 178)), EDGE)[0]
    if "trained" in wanted:
        ours.adapter.coder.use(TRAINED)
        note("5_trained", square(0.05, (188, 180)), EDGE)
    if "tiny" in wanted:
        preset = replace(ours.adapter.preset, tiny_vae="random", tiny_vae_results=True)
        ours.adapter.preset = preset
        ours.adapter.use_tiny_vae(TinyVae(AutoencoderTiny(), preset.latent_stride))
        for name, halos, corner in (("tiny_vae", gate, (190, 178)), ("tiny_trained", TRAINED, (189, 179))):
            ours.adapter.coder.use(halos)
            note(f"5_{name}", square(0.05, corner), EDGE)
    figures = {name: round(value, 2) if isinstance(value, float) else value for name, value in found.items()}
    report(**figures, halos=[gate.encode, gate.decode], steps=options.steps, threads=1)


def rounded(seconds: dict[str, float]) -> dict[str, float]:
    return {name: round(value, 2) for name, value in seconds.items()}


if __name__ == "__main__":
    main()
